package repositories_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

func TestManyJobsAreAskedForAsEachIs(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		jobs := repositories.NewJobs(s.db)
		touch := func(after time.Duration, subjects ...string) {
			t.Helper()
			require.NoError(t, jobs.TouchMany(t.Context(), models.JobRateLimitExceeded, subjects, after))
		}
		touch(0)
		require.Zero(t, number(t, s.db, "SELECT COUNT(*) FROM jobs"))
		touch(time.Hour, "b", "a", "b")
		require.EqualValues(t, 2, number(t, s.db, "SELECT COUNT(*) FROM jobs WHERE generation = 1 AND sent_at IS NULL AND due_at > created_at"))
		// One that was not sent becomes due no later, but is another generation.
		touch(time.Minute, "a")
		touch(24*time.Hour, "a", "c")
		require.NoError(t, jobs.Touch(t.Context(), models.JobRateLimitExceeded, "now", 10*time.Minute))
		require.EqualValues(t, 3, number(t, s.db, "SELECT generation FROM jobs WHERE subject = 'a'"))
		require.EqualValues(t, 1, number(t, s.db, "SELECT COUNT(*) FROM jobs WHERE subject = 'a' AND due_at < (SELECT due_at FROM jobs WHERE subject = 'now')"))
		// One that was sent becomes due after it: however often it is asked for, it
		// runs once in that time.
		execSQL(t, s.db, "UPDATE jobs SET sent_at = due_at, failures = 2, last_error = 'x'")
		touch(24*time.Hour, "a", "b", "c")
		require.EqualValues(t, 3, number(t, s.db, "SELECT COUNT(*) FROM jobs WHERE sent_at IS NULL AND failures = 0 AND last_error = ''"+
			" AND due_at > (SELECT due_at FROM jobs WHERE subject = 'now')"))

		broken := errors.New("broken")
		require.ErrorIs(t, s.db.InTx(t.Context(), func(ctx context.Context) error {
			require.NoError(t, jobs.TouchMany(ctx, models.JobRateLimitExceeded, []string{"d"}, 0))
			return broken
		}), broken)
		require.Zero(t, number(t, s.db, "SELECT COUNT(*) FROM jobs WHERE subject = 'd'"))
	})
}

func TestManyAskForTheSameJobsWithoutWaitingInACircle(t *testing.T) {
	twoHandles(t, func(t *testing.T, handles [2]*repositories.DB) {
		require.NoError(t, handles[0].Migrate(t.Context()))
		var group errgroup.Group
		for n := range 8 {
			jobs := repositories.NewJobs(handles[n%2])
			group.Go(func() error {
				for i := range 10 {
					var subjects []string
					for k := range 50 {
						subjects = append(subjects, fmt.Sprint((k*7+n*13+i)%60))
					}
					if err := jobs.TouchMany(t.Context(), models.JobRateLimitExceeded, subjects, time.Second); err != nil {
						return err
					}
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		require.EqualValues(t, 8*10*50, number(t, handles[0], "SELECT SUM(generation) FROM jobs"))
		if handles[0].Engine() == repositories.Postgres {
			require.Zero(t, number(t, handles[0], "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
		}
	})
}
