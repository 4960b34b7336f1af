package repositories

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Jobs keeps the work that is due. All its times are by the database's clock,
// which the processes share.
type Jobs struct{ db *DB }

// NewJobs makes the repository.
func NewJobs(db *DB) Jobs { return Jobs{db} }

const jobNoun = "job"

// maxJobError bounds what is kept of the error of a job, in bytes.
const maxJobError = 2000

// sameJob selects a job if it was not asked for again since it was read.
const sameJob = " WHERE kind = ? AND subject = ? AND generation = ?"

// Touch asks for a job, after a while, in the transaction that makes it due. One
// that is due already becomes due no later, and what it does now will be done
// again: it may have seen the world before this transaction.
func (r Jobs) Touch(ctx context.Context, kind models.JobKind, subject string, after time.Duration) error {
	return r.db.do(ctx, jobNoun, func(g *gorm.DB) error {
		return g.Exec("INSERT INTO jobs (kind, subject, generation, due_at, created_at) VALUES (?, ?, 1, "+r.db.ago+", "+r.db.ago+")"+
			" ON CONFLICT (kind, subject) DO UPDATE SET generation = jobs.generation + 1, failures = 0, failed_at = NULL, last_error = '',"+
			// What has been sent may be running: the next generation comes after it.
			" due_at = CASE WHEN jobs.sent_at IS NULL AND jobs.failed_at IS NULL AND jobs.due_at < excluded.due_at THEN jobs.due_at ELSE excluded.due_at END,"+
			" sent_at = NULL",
			kind, subject, -after.Microseconds(), 0).Error
	})
}

// Tick asks for the job of a kind, subject "", once for each tick: it tells
// whether this call did.
func (r Jobs) Tick(ctx context.Context, kind models.JobKind, tick time.Time, node string) (asked bool, err error) {
	err = r.db.InTx(ctx, func(ctx context.Context) (err error) {
		if asked, err = JobTicks(r).claim(ctx, kind, tick, node); err != nil || !asked {
			return err
		}
		return r.Touch(ctx, kind, "", 0)
	})
	return asked && err == nil, err
}

// Due gives the jobs that are due and were never sent, those due the longest
// first, and then those sent longer ago than resend: at most limit together.
func (r Jobs) Due(ctx context.Context, resend time.Duration, limit int) (jobs []models.Job, err error) {
	err = r.db.do(ctx, jobNoun, func(g *gorm.DB) error {
		return g.Where("sent_at IS NULL AND failed_at IS NULL AND due_at <= "+r.db.ago, 0).Order("due_at").Limit(limit).Find(&jobs).Error
	})
	if err != nil || len(jobs) == limit {
		return jobs, err
	}
	var again []models.Job
	err = r.db.do(ctx, jobNoun, func(g *gorm.DB) error {
		return g.Where("failed_at IS NULL AND sent_at < "+r.db.ago, resend.Microseconds()).Order("sent_at").Limit(limit - len(jobs)).Find(&again).Error
	})
	return append(jobs, again...), err
}

// MarkSent notes that jobs were put into the queue; those asked for again
// meanwhile are left out.
func (r Jobs) MarkSent(ctx context.Context, jobs []models.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	query, args := r.sentQuery(jobs)
	return r.change(ctx, func(g *gorm.DB) error { return execute(g, query, args...) })
}

// Load gives a job.
func (r Jobs) Load(ctx context.Context, kind models.JobKind, subject string) (*models.Job, error) {
	return find[models.Job](ctx, r.db, jobNoun, func(g *gorm.DB) *gorm.DB {
		return g.Where("kind = ? AND subject = ?", kind, subject)
	})
}

// Finish erases a job that is done, unless it was asked for again.
func (r Jobs) Finish(ctx context.Context, job *models.Job) error {
	return r.change(ctx, func(g *gorm.DB) error {
		return g.Exec("DELETE FROM jobs"+sameJob, job.Kind, job.Subject, job.Generation).Error
	})
}

// Again makes a job due after a while, unless it was asked for again.
func (r Jobs) Again(ctx context.Context, job *models.Job, after time.Duration) error {
	return r.change(ctx, func(g *gorm.DB) error {
		return g.Exec("UPDATE jobs SET generation = generation + 1, due_at = "+r.db.ago+
			", sent_at = NULL, failures = 0, last_error = '', failed_at = NULL"+sameJob,
			-after.Microseconds(), job.Kind, job.Subject, job.Generation).Error
	})
}

// Fail counts a failure and keeps its message, unless the job was asked for
// again. A final one gives the job up: it waits for an operator.
func (r Jobs) Fail(ctx context.Context, job *models.Job, message string, final bool) error {
	failed, args := "", []any{jobError(message)}
	if final {
		failed, args = ", failed_at = "+r.db.ago, append(args, 0)
	}
	return r.change(ctx, func(g *gorm.DB) error {
		return g.Exec("UPDATE jobs SET failures = failures + 1, last_error = ?"+failed+sameJob,
			append(args, job.Kind, job.Subject, job.Generation)...).Error
	})
}

// Renew counts a failure and makes the job due at once, unless it was asked for
// again: whoever had it is gone.
func (r Jobs) Renew(ctx context.Context, job *models.Job, message string) error {
	return r.change(ctx, func(g *gorm.DB) error {
		return g.Exec("UPDATE jobs SET generation = generation + 1, due_at = "+r.db.ago+
			", sent_at = NULL, failures = failures + 1, last_error = ?"+sameJob,
			0, jobError(message), job.Kind, job.Subject, job.Generation).Error
	})
}

// jobError is as much of a message as is kept.
func jobError(message string) string {
	message = strings.ReplaceAll(strings.ToValidUTF8(message, "?"), "\x00", "?")
	return strings.ToValidUTF8(message[:min(len(message), maxJobError)], "")
}

// ForgetSent makes all jobs unsent: the queue that they stood in is gone.
func (r Jobs) ForgetSent(ctx context.Context) error {
	return r.change(ctx, func(g *gorm.DB) error {
		return g.Exec("UPDATE jobs SET sent_at = NULL WHERE sent_at IS NOT NULL").Error
	})
}

// change makes a change of a few rows: in the transaction of ctx or, so that
// writers of SQLite wait in turn, in one of its own.
func (r Jobs) change(ctx context.Context, fn func(g *gorm.DB) error) error {
	return r.db.InTx(ctx, func(ctx context.Context) error { return r.db.do(ctx, jobNoun, fn) })
}
