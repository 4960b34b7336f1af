// Package jobs shows operators the work that is due and the queues it stands in,
// and lets them settle what failed.
//
// Floor F2. It may import models and the packages of floor F0.
package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Store keeps the jobs. Retry and Delete touch only those that failed: all of a
// kind, or the one with the subject. They tell how many.
type Store interface {
	List(ctx context.Context, filter models.JobFilter, page models.Page) ([]models.Job, error)
	Stats(ctx context.Context) ([]models.JobStats, error)
	Retry(ctx context.Context, kind models.JobKind, subject *string) (int64, error)
	Delete(ctx context.Context, kind models.JobKind, subject *string) (int64, error)
}

// Queues are what jobs stand in. SetPaused tells whether that was new.
type Queues interface {
	Queues(ctx context.Context) ([]models.QueueState, error)
	SetPaused(ctx context.Context, name string, pause bool) (bool, error)
}

// Changes makes a change durable in one transaction with its audit row.
type Changes interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	Record(ctx context.Context, changes ...models.Change) error
}

// Service answers operators. It is safe for concurrent use.
type Service struct {
	store   Store
	queues  Queues
	changes Changes
}

// New makes the service.
func New(store Store, queues Queues, changes Changes) *Service {
	return &Service{store: store, queues: queues, changes: changes}
}

// Overview is how the queues and the kinds of jobs are.
type Overview struct {
	Queues []models.QueueState
	Kinds  []models.JobStats
}

// Overview tells how all queues are, and all kinds that have jobs.
func (s *Service) Overview(ctx context.Context) (Overview, error) {
	queues, err := s.queues.Queues(ctx)
	if err != nil {
		return Overview{}, err
	}
	kinds, err := s.store.Stats(ctx)
	return Overview{queues, kinds}, err
}

// List gives a page of the jobs that match.
func (s *Service) List(ctx context.Context, filter models.JobFilter, page models.Page) ([]models.Job, error) {
	return s.store.List(ctx, filter, page)
}

// Selection chooses failed jobs: one by its subject, which is "" for a job about
// the whole installation, or all of the kind.
type Selection struct {
	Kind    models.JobKind
	Subject *string
	All     bool
}

func (s *Selection) check() error {
	var v apierror.Validator
	v.Check(s.Kind != "", "kind", "must be the kind of a job, such as notify:deliver")
	v.Check(s.Subject != nil || s.All, "subject", "must be the subject of the job, or all must be true")
	v.Check(s.Subject == nil || !s.All, "all", "must be absent where subject is given")
	return v.Err()
}

// Retry makes failed jobs due again, and tells how many.
func (s *Service) Retry(ctx context.Context, chosen Selection) (int64, error) {
	return s.settle(ctx, "job.retry", chosen, s.store.Retry)
}

// Delete forgets failed jobs for ever, and tells how many.
func (s *Service) Delete(ctx context.Context, chosen Selection) (int64, error) {
	return s.settle(ctx, "job.delete", chosen, s.store.Delete)
}

func (s *Service) settle(ctx context.Context, action string, chosen Selection,
	do func(ctx context.Context, kind models.JobKind, subject *string) (int64, error),
) (n int64, err error) {
	if err := chosen.check(); err != nil {
		return 0, err
	}
	err = s.changes.InTx(ctx, func(ctx context.Context) error {
		if n, err = do(ctx, chosen.Kind, chosen.Subject); err != nil {
			return err
		}
		if n == 0 {
			if chosen.Subject != nil {
				return apierror.NotFound("failed job")
			}
			return nil
		}
		return s.changes.Record(ctx, recorded(action, chosen, n))
	})
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", action, chosen.Kind, err)
	}
	return n, nil
}

func recorded(action string, chosen Selection, n int64) models.Change {
	state := map[string]any{"kind": chosen.Kind, "jobs": n}
	id := string(chosen.Kind)
	if chosen.Subject != nil {
		state["subject"] = *chosen.Subject
		id += ":" + *chosen.Subject
	}
	return models.Change{Action: action, ObjectKind: "job", ObjectID: id, After: state}
}

// SetPaused keeps the jobs of a queue from being begun, or lets them again.
// Repeating it changes nothing.
func (s *Service) SetPaused(ctx context.Context, name string, pause bool) error {
	changed, err := s.queues.SetPaused(ctx, name, pause)
	if err != nil || !changed {
		return err
	}
	action := "queue.resume"
	if pause {
		action = "queue.pause"
	}
	err = s.changes.InTx(ctx, func(ctx context.Context) error {
		return s.changes.Record(ctx, models.Change{
			Action: action, ObjectKind: "queue", ObjectID: name,
			Before: map[string]bool{"paused": !pause}, After: map[string]bool{"paused": pause},
		})
	})
	if err != nil {
		// No change without a record of it.
		_, undo := s.queues.SetPaused(context.WithoutCancel(ctx), name, !pause)
		return errors.Join(fmt.Errorf("%s %s: %w", action, name, err), undo)
	}
	return nil
}
