package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/hibiken/asynq"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// recordTimeout is how long the row may take to be written after a run, whatever
// became of the run's own context.
const recordTimeout = 10 * time.Second

// notOurs is an error that is no failure of the job: the database is away, the
// worker is ending, or another version of the program has to do it. It is tried
// again without being counted.
type notOurs struct{ error }

func (e notOurs) Unwrap() error { return e.error }

// isFailure tells Asynq whether an attempt counts.
func isFailure(err error) bool {
	var other notOurs
	return err != nil && !errors.As(err, &other)
}

// ProcessTask runs the job that a task stands for, if it is still due.
func (w *Worker) ProcessTask(ctx context.Context, task *asynq.Task) error {
	w.running.Add(1)
	defer w.running.Done()
	p, err := readTask(task)
	if err != nil {
		return notOurs{err}
	}
	kind := w.kinds[p.Kind]
	if kind == nil {
		return notOurs{fmt.Errorf("%w: no handler for %s", errForeign, p.Kind)}
	}
	job, err := w.rows.Load(ctx, p.Kind, p.Subject)
	switch {
	case errors.Is(err, apierror.CodeNotFound):
		return nil // done by somebody
	case err != nil:
		return notOurs{fmt.Errorf("load the job: %w", err)}
	case job.Generation != p.Generation || job.FailedAt != nil:
		return nil // asked for again, which another task is for; or given up
	}
	ctx = logging.With(ctx, zap.String("job", taskID(job)), zap.String("kind", string(job.Kind)), zap.String("subject", job.Subject))
	return w.run(ctx, kind, job)
}

func (w *Worker) run(ctx context.Context, kind *Kind, job *models.Job) (err error) {
	outcome := Done
	if w.Trace != nil {
		var ended func(string, bool)
		ctx, ended = w.Trace(ctx, job, attemptOf(ctx, job))
		defer func() { ended(string(outcome), outcome != Done) }()
	}
	bounded, cancel := context.WithTimeout(ctx, kind.Timeout)
	defer cancel()
	began := time.Now()
	again, failure := w.handle(bounded, kind, job.Subject)
	took := time.Since(began)
	log := w.log.With(logging.In(ctx), zap.Duration("took", took))
	defer func() {
		if w.OnRun != nil {
			w.OnRun(job.Kind, outcome, took)
		}
	}()

	if failure != nil && errors.Is(ctx.Err(), context.Canceled) {
		outcome = Retried
		// The worker ends, or was away for so long that the task is another's now.
		return notOurs{fmt.Errorf("interrupted: %w", failure)}
	}
	record, cancelRecord := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancelRecord()
	switch {
	case failure != nil:
		outcome, err = w.failed(record, kind, job, failure, log)
		return err
	case again > 0:
		log.Debug("job runs again", zap.Duration("after", again))
		return recorded(w.rows.Again(record, job, again))
	default:
		log.Debug("job done")
		return recorded(w.rows.Finish(record, job))
	}
}

func recorded(err error) error {
	if err != nil {
		return notOurs{fmt.Errorf("record how the job went: %w", err)}
	}
	return nil
}

// failed counts a failure in the row, which remembers it even if Redis does not.
func (w *Worker) failed(ctx context.Context, kind *Kind, job *models.Job, failure error, log *zap.Logger) (Outcome, error) {
	attempt := attemptOf(ctx, job)
	final := attempt > kind.MaxRetries
	log = log.With(zap.Int("attempt", attempt), zap.Error(failure))
	if final {
		log.Error("job failed for good; `viva queues retry` tries it again")
	} else {
		log.Warn("job failed; it will be tried again")
	}
	if err := w.rows.Fail(ctx, job, failure.Error(), final); err != nil {
		return Retried, notOurs{errors.Join(failure, fmt.Errorf("record how the job went: %w", err))}
	}
	if final {
		return Failed, fmt.Errorf("%w: %w", failure, asynq.SkipRetry)
	}
	return Retried, failure
}

// attemptOf counts from 1. The row remembers failures where the queue does not.
func attemptOf(ctx context.Context, job *models.Job) int {
	retried, _ := asynq.GetRetryCount(ctx)
	return max(retried, job.Failures) + 1
}

// handle calls the handler and makes an error of a panic.
func (w *Worker) handle(ctx context.Context, kind *Kind, subject string) (again time.Duration, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			w.log.Error("job panicked", logging.In(ctx),
				zap.Any("panic", panicked), zap.ByteString("stack", debug.Stack()))
			again, err = 0, fmt.Errorf("panic: %v", panicked)
		}
	}()
	return kind.Handle(ctx, subject)
}
