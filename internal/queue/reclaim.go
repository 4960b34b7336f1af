package queue

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/pkg/apierror"
)

const (
	// reclaimEvery is how often it is looked for jobs whose worker is gone.
	reclaimEvery = time.Second
	// reclaimAfter is how long a lease has to be over, as clocks differ. A worker
	// that lives extends it every five seconds, by thirty.
	reclaimAfter = 5 * time.Second
	// reclaimTasks bounds those of one look at a queue.
	reclaimTasks = 100
)

// errGone is why a job is done again that its worker did not come to end.
const errGone = "the worker that ran it is gone"

// reclaim makes jobs due again whose worker died at them. Asynq would do so by
// itself, a minute or two later; what it then puts in again is of a generation
// that is over, and does nothing.
func (w *Worker) reclaim(ctx context.Context) error {
	before := strconv.FormatInt(time.Now().Add(-reclaimAfter).Unix(), 10)
	for _, priority := range Priorities {
		queue := queueName(w.Namespace, priority)
		// Where Asynq keeps the ids of running tasks by when their lease ends.
		ids, err := w.Redis.ZRangeByScore(ctx, "asynq:{"+queue+"}:lease", &redis.ZRangeBy{Min: "-inf", Max: before, Count: reclaimTasks}).Result()
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := w.reclaimTask(ctx, queue, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Worker) reclaimTask(ctx context.Context, queue, id string) error {
	info, err := w.inspect.GetTaskInfo(queue, id)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return nil // it has just ended, or Redis lost its memory
	}
	if err != nil {
		return err
	}
	p, unreadable := readTask(asynq.NewTask(info.Type, info.Payload))
	kind := w.kinds[p.Kind]
	if unreadable != nil || kind == nil {
		w.log.Debug("a task of another version of the program has no worker", zap.String("task", id), zap.Error(unreadable))
		return nil // that version sees to it
	}
	job, err := w.rows.Load(ctx, p.Kind, p.Subject)
	switch {
	case errors.Is(err, apierror.CodeNotFound):
		return nil
	case err != nil:
		return err
	case job.Generation != p.Generation || job.FailedAt != nil:
		return nil
	}
	log := w.log.With(zap.String("job", taskID(job)), zap.String("kind", string(job.Kind)), zap.String("subject", job.Subject))
	if job.Failures >= kind.MaxRetries {
		// Perhaps it is the job that they die of.
		log.Error("the worker that ran a job is gone, once too often; `viva queues retry` tries it again")
		return w.rows.Fail(ctx, job, errGone, true)
	}
	log.Warn("the worker that ran a job is gone; it is done again")
	return w.rows.Renew(ctx, job, errGone)
}
