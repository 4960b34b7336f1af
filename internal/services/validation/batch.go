package validation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// BatchRecorder gathers records, and keeps them all at its end.
type BatchRecorder interface {
	Record(s *models.Snapshot, r *models.Record) error
	End() error
}

// ValidateMany answers checks as Validate does, and tells each answer in the order
// of the checks. When it returns nil, all are recorded and may leave.
//
// The checks of one owner are decided one after the other. Others are at the same
// time, as many as Deps.Together says.
func (s *Service) ValidateMany(ctx context.Context, checks []Check, each func(i int, a *Answer, err error)) error {
	if s.Together <= 1 {
		batch := s.batch()
		for i := range checks {
			a, err := s.validate(ctx, &checks[i], batch.records())
			each(i, &a, err)
		}
		return batch.end()
	}
	lines := s.lines(ctx, checks)
	answers, failures := make([]Answer, len(checks)), make([]error, len(checks))
	batches := make([]batch, min(s.Together, len(lines)))
	for i := range batches {
		batches[i] = s.batch()
	}
	parallel(len(batches), len(lines), func(worker, line int) {
		for _, i := range lines[line] {
			answers[i], failures[i] = s.validate(ctx, &checks[i], batches[worker].records())
		}
	})
	for i := range answers {
		each(i, &answers[i], failures[i])
	}
	var lost []error
	for _, b := range batches {
		lost = append(lost, b.end())
	}
	return errors.Join(lost...)
}

// lines gives the numbers of the checks of each owner, in their order, and those
// of keys that nobody has.
func (s *Service) lines(ctx context.Context, checks []Check) (lines [][]int) {
	now, owners := s.Now(), make([]string, len(checks))
	parallel(s.Together, len(checks), func(_, i int) { owners[i] = s.owner(ctx, checks[i].APIKey, now) })
	at := make(map[string]int, len(checks))
	for i, owner := range owners {
		line, ok := at[owner]
		if !ok {
			line = len(lines)
			at[owner], lines = line, append(lines, nil)
		}
		lines[line] = append(lines[line], i)
	}
	return lines
}

// owner gives whose key it is, or the key itself where that cannot be told.
func (s *Service) owner(ctx context.Context, key string, now time.Time) string {
	if directory, err := s.Keys.Directory(ctx, now); err != nil || !directory.Plausible(key) {
		return key
	}
	snapshot, err := s.Keys.Snapshot(ctx, apikey.Sum(key), now)
	if err != nil {
		return key // and the check will tell why
	}
	return string(snapshot.Owner.ID)
}

// parallel does n things, as many at a time as there are workers. If one of them
// panics, so does it, once the others are done.
func parallel(workers, n int, do func(worker, i int)) {
	var group sync.WaitGroup
	var next atomic.Int64
	var panicked atomic.Pointer[any]
	for worker := range min(workers, n) {
		group.Go(func() {
			defer func() {
				if cause := recover(); cause != nil {
					panicked.Store(&cause)
				}
			}()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(worker, i)
			}
		})
	}
	group.Wait()
	if cause := panicked.Load(); cause != nil {
		panic(*cause)
	}
}

// batch keeps the records of checks together, which costs less than to keep each.
type batch struct{ to BatchRecorder } // nil where nothing is metered

func (s *Service) batch() batch {
	if s.Recorder == nil {
		return batch{}
	}
	return batch{s.Recorder.Batch()}
}

func (b batch) records() records {
	if b.to == nil {
		return nil
	}
	return b.to
}

func (b batch) end() error {
	if b.to == nil {
		return nil
	}
	if err := b.to.End(); err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	return nil
}
