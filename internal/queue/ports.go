package queue

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// Rows are the jobs as the worker sees them while it runs them. None of its
// methods touches a job that was asked for again since it was read.
type Rows interface {
	// Load gives a job; apierror.CodeNotFound where there is none.
	Load(ctx context.Context, kind models.JobKind, subject string) (*models.Job, error)
	// Finish erases a job that is done.
	Finish(ctx context.Context, job *models.Job) error
	// Again makes a job due after a while.
	Again(ctx context.Context, job *models.Job, after time.Duration) error
	// Fail counts a failure; a final one gives the job up.
	Fail(ctx context.Context, job *models.Job, message string, final bool) error
	// Renew counts a failure and makes the job due at once.
	Renew(ctx context.Context, job *models.Job, message string) error
}

// Source is where the jobs come from.
type Source interface {
	// Due gives jobs that are due and were never put into the queue, or longer ago
	// than resend; the oldest first.
	Due(ctx context.Context, resend time.Duration, limit int) ([]models.Job, error)
	// MarkSent notes that they were put into the queue.
	MarkSent(ctx context.Context, jobs []models.Job) error
	// Tick asks for a periodic job once for each tick, whoever else does.
	Tick(ctx context.Context, kind models.JobKind, tick time.Time, node string) (bool, error)
	// Touch asks for a job.
	Touch(ctx context.Context, kind models.JobKind, subject string, after time.Duration) error
}

// Lock is held by one process.
type Lock interface {
	// Keep returns nil when ctx ends, and an error when the lock is lost.
	Keep(ctx context.Context) error
	// Release gives it back.
	Release()
}

// TryLock takes the lock of those who sweep, unless another process has it.
type TryLock func(ctx context.Context) (lock Lock, ok bool, err error)
