package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
)

const (
	// sweepRows bounds the rows of one look.
	sweepRows = 1000
	// sweepAtOnce is how many are put in at a time.
	sweepAtOnce = 8
)

// sweeping puts rows into the queue whenever this process has the lock. More than
// one doing so would do no harm, only work for nothing.
func (w *Worker) sweeping(ctx context.Context) {
	for {
		lock, ok, err := w.Lock(ctx)
		switch {
		case err != nil:
			if ctx.Err() == nil {
				w.log.Warn("cannot tell who puts jobs into the queue; it will be tried again", zap.Error(err))
			}
		case ok:
			w.log.Info("this process puts jobs into the queue")
			w.sweepWhile(ctx, lock)
		}
		if !pause(ctx, w.LockEvery) {
			return
		}
	}
}

// sweepWhile sweeps until ctx ends or the lock is lost.
func (w *Worker) sweepWhile(ctx context.Context, lock Lock) {
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() {
		defer cancel()
		if err := lock.Keep(ctx); err != nil {
			w.log.Info("another process puts jobs into the queue", zap.Error(err))
		}
	})
	var reclaimed time.Time
	for failing := false; ; {
		sent, err := w.sweep(ctx)
		if now := time.Now(); err == nil && now.Sub(reclaimed) >= reclaimEvery {
			reclaimed, err = now, w.reclaim(ctx)
		}
		if err != nil && ctx.Err() == nil && !failing {
			w.log.Warn("jobs wait to be put into the queue; it will be tried again", zap.Error(err))
		}
		failing = err != nil
		if err == nil && sent == sweepRows {
			continue // there are more
		}
		if !pause(ctx, w.SweepEvery) {
			break
		}
	}
	cancel()
	keeping.Wait()
	lock.Release()
}

// sweep puts in what is due, and tells how many rows that were.
func (w *Worker) sweep(ctx context.Context) (int, error) {
	due, err := w.Source.Due(ctx, w.Resend, sweepRows)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	var (
		mu   sync.Mutex
		sent = make([]models.Job, 0, len(due))
	)
	group, groupCtx := errgroup.WithContext(ctx) // the first that fails tells enough
	group.SetLimit(sweepAtOnce)
	for i := range due {
		job := &due[i]
		kind := w.kinds[job.Kind]
		if kind == nil {
			// A newer program asked for it, and one will do it: until it has the
			// lock, the row is not looked at again and again.
			sent = append(sent, *job)
			continue
		}
		group.Go(func() error {
			err := w.enqueue(groupCtx, kind, job)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, *job)
			}
			return err
		})
	}
	// What was put in is noted even where others could not be.
	err = group.Wait()
	return len(due), errors.Join(err, w.Source.MarkSent(ctx, sent))
}

// enqueue puts a job into the queue, unless it stands there.
func (w *Worker) enqueue(ctx context.Context, kind *Kind, job *models.Job) error {
	task, queue, id, err := newTask(w.Namespace, kind, job)
	if err != nil {
		return err
	}
	_, err = w.client.EnqueueContext(ctx, task)
	switch {
	case !errors.Is(err, asynq.ErrTaskIDConflict):
		return err
	case job.SentAt == nil:
		return nil // put in just now, by a process that did not come to note it
	default:
		return w.lookAfter(ctx, queue, id, job)
	}
}

// lookAfter sees to a job that has been in the queue for long. Where Asynq has
// given it up without the row knowing, as when each process that tried it died,
// the row has to know: nothing else would ever move it.
func (w *Worker) lookAfter(ctx context.Context, queue, id string, job *models.Job) error {
	info, err := w.inspect.GetTaskInfo(queue, id)
	if errors.Is(err, asynq.ErrQueueNotFound) {
		// Redis lost its memory, and Asynq's client does not know.
		if err = w.Redis.SAdd(ctx, allQueuesKey, queue).Err(); err == nil {
			info, err = w.inspect.GetTaskInfo(queue, id)
		}
	}
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound):
		return nil // it has just ended: the next look shows how
	case err != nil:
		return err
	case info.State != asynq.TaskStateArchived:
		return nil
	}
	w.log.Error("job given up by the queue; `viva queues retry` tries it again",
		zap.String("job", id), zap.String("kind", string(job.Kind)), zap.String("subject", job.Subject), zap.String("error", info.LastErr))
	return w.rows.Fail(ctx, job, info.LastErr, true)
}
