package repositories_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// jobsAgo makes jobs older than they are, as the database's clock is nobody's to set.
func jobsAgo(t *testing.T, db *repositories.DB, column string, by time.Duration) {
	t.Helper()
	change := map[string]string{
		repositories.Postgres: "UPDATE jobs SET %[1]s = %[1]s - %[2]d * interval '1 microsecond'",
		repositories.SQLite:   "UPDATE jobs SET %[1]s = %[1]s - %[2]d",
	}[db.Engine()]
	execSQL(t, db, fmt.Sprintf(change, column, by.Microseconds()))
}

func subjects(jobs []models.Job) []string {
	list := make([]string, len(jobs))
	for i := range jobs {
		list[i] = jobs[i].Subject
	}
	return list
}

func due(t *testing.T, jobs repositories.Jobs) []models.Job {
	t.Helper()
	list, err := jobs.Due(t.Context(), time.Minute, 10)
	require.NoError(t, err)
	return list
}

func TestJobsAreDueOnceUntilTheyAreOldOrAskedForAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		jobs, ctx := repositories.NewJobs(s.db), t.Context()
		require.NoError(t, jobs.Touch(ctx, models.JobSecurityAnalyze, "later", time.Hour))
		for _, subject := range []string{"a", "b", "a"} {
			require.NoError(t, jobs.Touch(ctx, models.JobSecurityAnalyze, subject, 0))
		}
		first := due(t, jobs)
		require.Equal(t, []string{"a", "b"}, subjects(first), "one row for each, and what is due later is not there")
		require.EqualValues(t, 2, first[0].Generation)

		require.NoError(t, jobs.MarkSent(ctx, nil))
		require.NoError(t, jobs.MarkSent(ctx, first))
		require.Empty(t, due(t, jobs), "they were sent")
		jobsAgo(t, s.db, "sent_at", 2*time.Minute)
		require.Equal(t, []string{"a", "b"}, subjects(due(t, jobs)), "too long ago")
		require.NoError(t, jobs.MarkSent(ctx, first))
		require.NoError(t, jobs.Touch(ctx, models.JobSecurityAnalyze, "b", 0))
		again := due(t, jobs)
		require.Equal(t, []string{"b"}, subjects(again), "asked for again")
		require.NoError(t, jobs.MarkSent(ctx, first))
		require.Equal(t, again, due(t, jobs), "that was of the generation before")
		jobsAgo(t, s.db, "sent_at", 2*time.Minute)
		require.Equal(t, []string{"b", "a"}, subjects(due(t, jobs)), "what was never sent comes first")
		require.NoError(t, jobs.MarkSent(ctx, first))
		require.NoError(t, jobs.MarkSent(ctx, again))
		require.NoError(t, jobs.ForgetSent(ctx))
		require.Len(t, due(t, jobs), 2, "the queue is gone")
	})
}

func TestJobIsOverOnlyIfItWasNotAskedForAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		jobs, ctx := repositories.NewJobs(s.db), t.Context()
		load := func() *models.Job {
			t.Helper()
			job, err := jobs.Load(ctx, models.JobAlertCheck, "")
			require.NoError(t, err)
			return job
		}
		for name, end := range map[string]func(job *models.Job) error{
			"finish":     func(job *models.Job) error { return jobs.Finish(ctx, job) },
			"again":      func(job *models.Job) error { return jobs.Again(ctx, job, time.Hour) },
			"fail":       func(job *models.Job) error { return jobs.Fail(ctx, job, "no", false) },
			"renew":      func(job *models.Job) error { return jobs.Renew(ctx, job, "gone") },
			"final fail": func(job *models.Job) error { return jobs.Fail(ctx, job, "no", true) },
		} {
			require.NoError(t, jobs.Touch(ctx, models.JobAlertCheck, "", 0))
			read := load()
			require.NoError(t, jobs.Touch(ctx, models.JobAlertCheck, "", 0))
			asked := load()
			require.NoError(t, end(read), name)
			require.Equal(t, asked, load(), "%s of what was asked for again does nothing", name)
		}

		job := load()
		require.NoError(t, jobs.Fail(ctx, job, "bad \xff\x00"+strings.Repeat("é", 2000), false))
		failed := load()
		require.Equal(t, 1, failed.Failures)
		require.True(t, strings.HasPrefix(failed.LastError, "bad ??é"))
		require.LessOrEqual(t, len(failed.LastError), 2000)
		require.Nil(t, failed.FailedAt)
		require.NoError(t, jobs.Fail(ctx, job, "worse", true))
		require.NotNil(t, load().FailedAt)
		require.Empty(t, due(t, jobs), "it was given up")
		require.NoError(t, jobs.Touch(ctx, models.JobAlertCheck, "", 0))
		revived := load()
		require.Nil(t, revived.FailedAt)
		require.Zero(t, revived.Failures)
		require.Empty(t, revived.LastError)

		require.NoError(t, jobs.MarkSent(ctx, []models.Job{*revived}))
		require.NoError(t, jobs.Renew(ctx, revived, "gone"))
		renewed := load()
		require.Equal(t, revived.Generation+1, renewed.Generation)
		require.Nil(t, renewed.SentAt)
		require.Equal(t, 1, renewed.Failures)
		require.Equal(t, "gone", renewed.LastError)
		revived = renewed
		require.NoError(t, jobs.Again(ctx, revived, time.Hour))
		later := load()
		require.Nil(t, later.SentAt)
		require.Greater(t, later.Generation, revived.Generation)
		require.WithinDuration(t, time.Now().Add(time.Hour), later.DueAt, time.Minute)
		require.NoError(t, jobs.Touch(ctx, models.JobAlertCheck, "", 2*time.Hour))
		require.WithinDuration(t, time.Now().Add(time.Hour), load().DueAt, time.Minute, "due no later than it was")
		require.NoError(t, jobs.Finish(ctx, load()))
		_, err := jobs.Load(ctx, models.JobAlertCheck, "")
		refused(t, err, apierror.CodeNotFound)
	})
}

func TestJobGoesWithTheTransactionThatMakesItDue(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		jobs := repositories.NewJobs(s.db)
		require.ErrorIs(t, s.db.InTx(t.Context(), func(ctx context.Context) error {
			require.NoError(t, jobs.Touch(ctx, models.JobAlertCheck, "", 0))
			return errRefused
		}), errRefused)
		require.Empty(t, due(t, jobs))
	})
}

func TestOneOfManyAsksForTheWorkOfATick(t *testing.T) {
	twoHandles(t, func(t *testing.T, handles [2]*repositories.DB) {
		ask := func(tick time.Time) int64 {
			t.Helper()
			var asked atomic.Int64
			var group errgroup.Group
			for w := range 8 {
				group.Go(func() error {
					ok, err := repositories.NewJobs(handles[w%2]).Tick(t.Context(), models.JobUsageCompact, tick, "n1")
					if ok {
						asked.Add(1)
					}
					return err
				})
			}
			require.NoError(t, group.Wait())
			return asked.Load()
		}
		jobs, ticks := repositories.NewJobs(handles[0]), repositories.NewJobTicks(handles[0])
		require.EqualValues(t, 1, ask(at(1)))
		require.Zero(t, ask(at(1)), "never again")
		job, err := jobs.Load(t.Context(), models.JobUsageCompact, "")
		require.NoError(t, err)
		require.EqualValues(t, 1, job.Generation)
		require.EqualValues(t, 1, ask(at(2)), "another tick is another matter")
		job, err = jobs.Load(t.Context(), models.JobUsageCompact, "")
		require.NoError(t, err)
		require.EqualValues(t, 2, job.Generation)

		require.NoError(t, ticks.Prune(t.Context(), time.Hour))
		require.EqualValues(t, 2, number(t, handles[0], "SELECT count(*) FROM job_ticks"))
		require.NoError(t, ticks.Prune(t.Context(), -time.Minute))
		require.Zero(t, number(t, handles[0], "SELECT count(*) FROM job_ticks"))
	})
}

func TestOperatorSeesAndSettlesWhatFailed(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		jobs, ctx := repositories.NewJobs(s.db), t.Context()
		for _, subject := range []string{"a", "b", "c", "d", "e"} {
			require.NoError(t, jobs.Touch(ctx, models.JobNotifyDeliver, subject, 0))
			if subject == "e" {
				continue
			}
			job, err := jobs.Load(ctx, models.JobNotifyDeliver, subject)
			require.NoError(t, err)
			require.NoError(t, jobs.Fail(ctx, job, "refused", true))
		}
		require.NoError(t, jobs.Touch(ctx, models.JobAlertCheck, "", time.Hour))
		execSQL(t, s.db, "UPDATE jobs SET failed_at = (SELECT MIN(failed_at) FROM jobs) WHERE subject IN ('a', 'b')")
		jobsAgo(t, s.db, "due_at", time.Minute)

		for state, want := range map[models.JobState][]string{
			models.JobFailed: {"d", "c", "b", "a"}, models.JobWaiting: {"e", ""},
		} {
			var got []string
			page := models.Page{Limit: 3}
			for {
				list, err := jobs.List(ctx, models.JobFilter{State: state}, page)
				require.NoError(t, err)
				got = append(got, subjects(list)...)
				if len(list) < page.Limit {
					break
				}
				last := list[len(list)-1].Position(state)
				page.After = &last
			}
			require.Equal(t, want, got, state)
		}
		_, err := jobs.List(ctx, models.JobFilter{}, models.Page{After: &models.Position{Value: "yesterday"}})
		refused(t, err, apierror.CodeValidationFailed)
		none, err := jobs.List(ctx, models.JobFilter{State: models.JobFailed, Kind: models.JobAlertCheck}, models.Page{})
		require.NoError(t, err)
		require.Empty(t, none)

		stats, err := jobs.Stats(ctx)
		require.NoError(t, err)
		require.Len(t, stats, 2)
		require.Equal(t, models.JobStats{Kind: models.JobAlertCheck, Waiting: 1}, stats[0])
		require.InDelta(t, time.Minute, stats[1].OldestDue, float64(time.Minute))
		stats[1].OldestDue = 0
		require.Equal(t, models.JobStats{Kind: models.JobNotifyDeliver, Waiting: 1, Due: 1, Failed: 4}, stats[1])

		settled := func(n int64, err error) int64 {
			t.Helper()
			require.NoError(t, err)
			return n
		}
		require.EqualValues(t, 1, settled(jobs.Retry(ctx, models.JobNotifyDeliver, ptr("a"))))
		require.Zero(t, settled(jobs.Retry(ctx, models.JobNotifyDeliver, ptr("e"))), "it has not failed")
		require.Zero(t, settled(jobs.Delete(ctx, models.JobNotifyDeliver, ptr("e"))), "it has not failed")
		require.Zero(t, settled(jobs.Delete(ctx, models.JobAlertCheck, nil)))
		_, err = jobs.Delete(ctx, models.JobNotifyDeliver, ptr("a\x00"))
		refused(t, err, apierror.CodeNotFound)
		require.EqualValues(t, 1, settled(jobs.Delete(ctx, models.JobNotifyDeliver, ptr("b"))))
		require.EqualValues(t, 2, settled(jobs.Retry(ctx, models.JobNotifyDeliver, nil)))
		job, err := jobs.Load(ctx, models.JobNotifyDeliver, "d")
		require.NoError(t, err)
		require.EqualValues(t, 2, job.Generation, "a task of the generation before stands in the way of none")
		require.Nil(t, job.FailedAt)
		require.Zero(t, job.Failures)
		require.Len(t, due(t, jobs), 4, "a, c, d and e")
	})
}

func TestAuditEntriesAreKeptForTheirTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		var entries []models.AuditEntry
		for second := range 4 {
			entries = append(entries, models.AuditEntry{
				ID: models.NewID[models.AuditID](), At: at(second), Action: "key.import", ObjectKind: "key",
				Objects: []string{string(models.NewID[models.KeyID]()), string(models.NewID[models.KeyID]())},
			})
		}
		require.NoError(t, s.audit.Append(t.Context(), entries))
		for _, e := range entries {
			for _, id := range e.Objects {
				found, err := s.audit.List(t.Context(), models.AuditFilter{ObjectID: id}, models.Page{})
				require.NoError(t, err)
				require.Len(t, found, 1)
				require.Equal(t, e.ID, found[0].ID)
			}
		}
		for range 2 {
			require.NoError(t, s.audit.Prune(t.Context(), at(2)))
			left, err := s.audit.List(t.Context(), models.AuditFilter{}, models.Page{Sort: "at"})
			require.NoError(t, err)
			require.Len(t, left, 2)
			require.Equal(t, at(2), left[0].At)
			var objects int
			require.NoError(t, repositories.Pool(s.db).QueryRow("SELECT COUNT(*) FROM audit_objects").Scan(&objects))
			require.Equal(t, 4, objects)
		}
	})
}

func TestDueJobsAreFoundByAnIndex(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		jobs, ctx := repositories.NewJobs(s.db), t.Context()
		touch := func(from, to int, after time.Duration) {
			inTx(t, s.db, func(ctx context.Context) {
				for i := from; i < to; i++ {
					require.NoError(t, jobs.Touch(ctx, models.JobNotifyDeliver, fmt.Sprint(i), after))
				}
			})
		}
		touch(0, 3000, 0)
		standing, err := jobs.Due(ctx, time.Minute, 5000)
		require.NoError(t, err)
		require.NoError(t, jobs.MarkSent(ctx, standing))
		touch(3000, 6000, time.Hour)
		require.NoError(t, jobs.Touch(ctx, models.JobNotifyDeliver, "due", 0))
		execSQL(t, s.db, "ANALYZE jobs")
		var plans []string
		repositories.Explain(s.db, func(plan string) { plans = append(plans, plan) })
		list, err := jobs.Due(ctx, time.Minute, 1000)
		require.NoError(t, err)
		require.Equal(t, []string{"due"}, subjects(list))
		require.Len(t, plans, 2)
		require.Contains(t, plans[0], "jobs_unsent_idx", "neither those that stand in the queue nor those due later")
		require.Contains(t, plans[1], "jobs_sent_at_idx")
		for _, plan := range plans {
			require.NotRegexp(t, sorting, plan)
		}
	})
}
