package repositories_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestInvalidationsAreHeardInOrder(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		last, err := s.invalidations.Last(t.Context())
		require.NoError(t, err)
		require.Zero(t, last)
		before := time.Now().Add(-time.Minute)
		require.NoError(t, s.invalidations.Append(t.Context(), nil))
		require.NoError(t, s.invalidations.Append(t.Context(), []models.Invalidation{
			{Subject: "key:1", Version: 2}, {Subject: "owner:1", Version: 9007199254740993},
		}))
		rows, err := s.invalidations.Since(t.Context(), 0, 0)
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.Less(t, rows[0].ID, rows[1].ID)
		require.Equal(t, models.Subject("owner:1"), rows[1].Subject)
		require.EqualValues(t, 9007199254740993, rows[1].Version)
		for _, row := range rows {
			require.WithinRange(t, row.CreatedAt, before, time.Now().Add(time.Minute), "the database's clock, not the test's")
			require.Equal(t, time.UTC, row.CreatedAt.Location())
		}
		last, err = s.invalidations.Last(t.Context())
		require.NoError(t, err)
		require.Equal(t, rows[1].ID, last)
	})
}

func TestInvalidationsOfTheLastSecondsAreHeardAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		require.NoError(t, s.invalidations.Append(t.Context(), []models.Invalidation{{Subject: "a:1"}, {Subject: "b:1"}, {Subject: "c:1"}}))
		last, err := s.invalidations.Last(t.Context())
		require.NoError(t, err)
		subjects := func(lastID int64) (list []models.Subject) {
			rows, err := s.invalidations.Since(t.Context(), lastID, 10*time.Second)
			require.NoError(t, err)
			for _, row := range rows {
				list = append(list, row.Subject)
			}
			return list
		}
		require.Equal(t, []models.Subject{"a:1", "b:1", "c:1"}, subjects(last), "recent ones, though their ids were passed")

		age(t, s.db, "a:1", 9*time.Second)
		age(t, s.db, "b:1", 11*time.Second)
		require.Equal(t, []models.Subject{"a:1", "c:1"}, subjects(last))
		require.Equal(t, []models.Subject{"a:1", "b:1", "c:1"}, subjects(0))

		require.NoError(t, s.invalidations.Prune(t.Context(), 10*time.Second))
		require.Equal(t, []models.Subject{"a:1", "c:1"}, subjects(0))
		require.NoError(t, s.invalidations.Prune(t.Context(), 0))
		require.Empty(t, subjects(0))
		require.NoError(t, s.invalidations.Append(t.Context(), []models.Invalidation{{Subject: "d:1"}}))
		again, err := s.invalidations.Last(t.Context())
		require.NoError(t, err)
		require.Greater(t, again, last, "the id of an erased row is not given again")
	})
}

// age makes an invalidation older than it is.
func age(t *testing.T, db *repositories.DB, subject string, by time.Duration) {
	t.Helper()
	statement := map[string]string{
		repositories.Postgres: "UPDATE invalidations SET created_at = created_at - $1 * interval '1 microsecond' WHERE subject = $2",
		repositories.SQLite:   "UPDATE invalidations SET created_at = created_at - $1 WHERE subject = $2",
	}[db.Engine()]
	_, err := repositories.Pool(db).ExecContext(t.Context(), statement, by.Microseconds(), subject)
	require.NoError(t, err)
}

func TestInvalidationGoesWithTheTransactionOfTheChange(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		require.ErrorIs(t, s.db.InTx(t.Context(), func(ctx context.Context) error {
			require.NoError(t, s.invalidations.Append(ctx, []models.Invalidation{{Subject: "a:1"}}))
			return errRefused
		}), errRefused)
		rows, err := s.invalidations.Since(t.Context(), 0, 0)
		require.NoError(t, err)
		require.Empty(t, rows)
	})
}

func TestAnswersAreKeptUntilTheyExpire(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		record := models.IdempotencyRecord{
			ID: "c0ffee", RequestHash: "beef", Status: 201, Response: []byte{0, 1, 0xff}, CreatedAt: at(1), ExpiresAt: at(10),
		}
		_, err := s.idempotency.Find(t.Context(), record.ID)
		refused(t, err, apierror.CodeNotFound)
		require.NoError(t, s.idempotency.Save(t.Context(), &record))
		got, err := s.idempotency.Find(t.Context(), record.ID)
		require.NoError(t, err)
		require.Equal(t, &record, got)

		require.NoError(t, s.idempotency.Prune(t.Context(), at(9)))
		s.clock.advance(at(9).Sub(s.clock.Now()))
		_, err = s.idempotency.Find(t.Context(), record.ID)
		require.NoError(t, err)
		s.clock.advance(at(10).Sub(s.clock.Now()))
		_, err = s.idempotency.Find(t.Context(), record.ID)
		refused(t, err, apierror.CodeNotFound)

		next := record
		next.RequestHash, next.Status, next.Response, next.CreatedAt, next.ExpiresAt = "cafe", 409, nil, at(11), at(20)
		require.NoError(t, s.idempotency.Save(t.Context(), &next), "it takes the place of one that expired")
		got, err = s.idempotency.Find(t.Context(), record.ID)
		require.NoError(t, err)
		require.Equal(t, &next, got)

		require.NoError(t, s.idempotency.Prune(t.Context(), at(20)))
		var left int
		require.NoError(t, repositories.Pool(s.db).QueryRowContext(t.Context(), "SELECT count(*) FROM idempotency_records").Scan(&left))
		require.Zero(t, left)
	})
}

func TestClaimEndsWithItsTransaction(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		_, err := s.idempotency.Claim(t.Context(), "a")
		require.Error(t, err, "outside a transaction it would hold nothing")
		for range 2 {
			inTx(t, s.db, func(ctx context.Context) {
				for range 2 {
					claimed, err := s.idempotency.Claim(ctx, "a")
					require.NoError(t, err)
					require.True(t, claimed)
				}
			})
		}
	})
}

func TestConcurrentDuplicateIsToldAtOnce(t *testing.T) {
	s := postgresSuite(t)
	inTx(t, s.db, func(ctx context.Context) {
		claimed, err := s.idempotency.Claim(ctx, "a")
		require.NoError(t, err)
		require.True(t, claimed)
		inTx(t, s.db, func(ctx context.Context) { // of another caller: it does not join
			for id, want := range map[string]bool{"a": false, "b": true} {
				claimed, err := s.idempotency.Claim(ctx, id)
				require.NoError(t, err)
				require.Equal(t, want, claimed, id)
			}
		})
	})
}

func TestAnyTellsWhetherThereIsAToken(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		some, err := s.tokens.Any(t.Context())
		require.NoError(t, err)
		require.False(t, some)
		require.NoError(t, s.tokens.Create(t.Context(), &models.AccessToken{
			ID: models.NewID[models.TokenID](), RevokedAt: ptr(at(1)), Version: 1, CreatedAt: at(1), UpdatedAt: at(1),
		}))
		some, err = s.tokens.Any(t.Context())
		require.NoError(t, err)
		require.True(t, some, "a revoked one counts")
	})
}

func TestAdvisoryLockHasOneHolder(t *testing.T) {
	first := postgresSuite(t).db
	lock, ok, err := first.AdvisoryLock(t.Context(), "serve")
	require.NoError(t, err)
	require.True(t, ok)
	_, ok, err = first.AdvisoryLock(t.Context(), "serve")
	require.NoError(t, err)
	require.False(t, ok)
	other, ok, err := first.AdvisoryLock(t.Context(), "sweep")
	require.NoError(t, err)
	require.True(t, ok)
	other.Release()
	lock.Release()
	lock, ok, err = first.AdvisoryLock(t.Context(), "serve")
	require.NoError(t, err)
	require.True(t, ok)
	lock.Release()
}

func TestALockIsTakenAgainAfterItsConnectionBroke(t *testing.T) {
	db := postgresSuite(t).db
	lock, ok, err := db.AdvisoryLock(t.Context(), "serve")
	require.NoError(t, err)
	require.True(t, ok)
	ctx, stop := context.WithCancel(t.Context())
	var kept sync.WaitGroup
	defer kept.Wait()
	defer stop()
	kept.Go(func() { assert.NoError(t, lock.Keep(ctx)) })

	sessions := func() (pids []int64) {
		rows, err := repositories.Pool(db).QueryContext(t.Context(),
			"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var pid int64
			require.NoError(t, rows.Scan(&pid))
			pids = append(pids, pid)
		}
		require.NoError(t, rows.Err())
		return pids
	}
	before := sessions()
	require.Len(t, before, 1)
	_, err = repositories.Pool(db).ExecContext(t.Context(), "SELECT pg_terminate_backend($1)", before[0])
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		now := sessions()
		return len(now) == 1 && now[0] != before[0]
	}, 10*time.Second, 10*time.Millisecond)
}

func TestALockThatAnotherTookMeanwhileIsLost(t *testing.T) {
	db := postgresSuite(t).db
	lock, _, err := db.AdvisoryLock(t.Context(), "serve")
	require.NoError(t, err)
	lock.Release()
	var other *repositories.Lock
	require.Eventually(t, func() bool { // the server ends the session when it gets to it
		var ok bool
		other, ok, err = db.AdvisoryLock(t.Context(), "serve")
		return err != nil || ok
	}, time.Minute, time.Millisecond)
	require.NoError(t, err)
	defer other.Release()
	require.ErrorContains(t, lock.Keep(t.Context()), "another process")
}
