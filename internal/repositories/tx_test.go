package repositories_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apierror"
)

var errRefused = errors.New("refused by the domain")

func TestTransactionIsAllOrNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		kept, dropped := s.newOwner(t), s.newOwner(t)
		inTx(t, s.db, func(ctx context.Context) {
			require.NoError(t, s.owners.Create(ctx, &kept))
			_, err := s.owners.Find(ctx, string(kept.ID))
			require.NoError(t, err, "it sees what it wrote")
		})
		require.ErrorIs(t, s.db.InTx(t.Context(), func(ctx context.Context) error {
			require.NoError(t, s.owners.Create(ctx, &dropped))
			return errRefused
		}), errRefused)
		require.Panics(t, func() {
			_ = s.db.InTx(t.Context(), func(ctx context.Context) error {
				require.NoError(t, s.owners.Create(ctx, &dropped))
				panic("a fault")
			})
		})
		list, err := s.owners.List(t.Context(), models.OwnerFilter{}, models.Page{})
		require.NoError(t, err)
		require.Equal(t, []models.Owner{kept}, list)
		require.NoError(t, s.owners.Create(t.Context(), &dropped), "nothing is locked after a panic")
	})
}

func TestTransactionInsideATransactionJoinsIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owner := s.newOwner(t)
		require.ErrorIs(t, s.db.InTx(t.Context(), func(ctx context.Context) error {
			require.NoError(t, s.db.InTx(ctx, func(ctx context.Context) error { return s.owners.Create(ctx, &owner) }))
			return errRefused
		}), errRefused)
		_, err := s.owners.Find(t.Context(), string(owner.ID))
		refused(t, err, apierror.CodeNotFound)
	})
}

func TestFailedStatementDoomsTheTransaction(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		free := s.plan(t, "free").ID
		owner := s.newOwner(t)
		err := s.db.InTx(t.Context(), func(ctx context.Context) error {
			require.NoError(t, s.owners.Create(ctx, &owner))
			refused(t, s.plans.AddVersion(ctx, &models.PlanVersion{
				ID: models.NewID[models.PlanVersionID](), PlanID: free, Number: 1, CreatedAt: at(1),
			}), apierror.CodeAlreadyExists)
			return nil
		})
		require.Equal(t, "number", field(t, refused(t, err, apierror.CodeAlreadyExists)))
		_, err = s.owners.Find(t.Context(), string(owner.ID))
		refused(t, err, apierror.CodeNotFound)
	})
}

func TestAbsenceDoesNotDoomTheTransaction(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owner := s.newOwner(t)
		inTx(t, s.db, func(ctx context.Context) {
			_, err := s.owners.Find(ctx, "nobody")
			refused(t, err, apierror.CodeNotFound)
			refused(t, s.owners.Delete(ctx, owner.ID), apierror.CodeNotFound)
			stale := owner
			refused(t, s.owners.Update(ctx, &stale), apierror.CodeNotFound)
			require.NoError(t, s.owners.Create(ctx, &owner))
			stale.Version = 7
			refused(t, s.owners.Update(ctx, &stale), apierror.CodePreconditionFailed)
		})
		_, err := s.owners.Find(t.Context(), string(owner.ID))
		require.NoError(t, err)
	})
}

func TestHooksRunOnceAfterTheOutermostCommit(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		var events []string
		hook := func(ctx context.Context, name string) {
			s.db.AfterCommit(ctx, func() { events = append(events, name) })
		}
		hook(t.Context(), "at once")
		owner := s.newOwner(t)
		inTx(t, s.db, func(ctx context.Context) {
			hook(ctx, "outer")
			require.NoError(t, s.db.InTx(ctx, func(ctx context.Context) error {
				hook(ctx, "inner")
				return s.owners.Create(ctx, &owner)
			}))
			events = append(events, "end")
		})
		require.ErrorIs(t, s.db.InTx(t.Context(), func(ctx context.Context) error {
			hook(ctx, "rolled back")
			return errRefused
		}), errRefused)
		require.Equal(t, []string{"at once", "end", "outer", "inner"}, events)
	})
}

func TestHookSeesWhatWasCommittedAndMayUseTheDatabase(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owner, next := s.newOwner(t), s.newOwner(t)
		inTx(t, s.db, func(ctx context.Context) {
			require.NoError(t, s.owners.Create(ctx, &owner))
			s.db.AfterCommit(ctx, func() {
				_, err := s.owners.Find(t.Context(), string(owner.ID))
				require.NoError(t, err)
				require.NoError(t, s.db.InTx(t.Context(), func(ctx context.Context) error { return s.owners.Create(ctx, &next) }))
			})
		})
		_, err := s.owners.Find(t.Context(), string(next.ID))
		require.NoError(t, err)
	})
}

func TestTransactionThatTheDatabaseGivesUpRunsAgain(t *testing.T) {
	s := postgresSuite(t)
	a, b := s.owner(t), s.owner(t)
	// Two transactions lock two rows in opposite order; each waits until the
	// other has its first one, in the first attempt.
	var holding sync.WaitGroup
	holding.Add(2)
	runs, hooks := make([]int, 2), make([]int, 2)
	rename := func(i int, first, second models.OwnerID) error {
		return s.db.InTx(t.Context(), func(ctx context.Context) error {
			runs[i]++
			s.db.AfterCommit(ctx, func() { hooks[i]++ })
			for step, id := range []models.OwnerID{first, second} {
				owner, err := s.owners.Lock(ctx, string(id))
				if err != nil {
					return err
				}
				owner.Name += "x"
				if err := s.owners.Update(ctx, owner); err != nil {
					return err
				}
				if step == 0 && runs[i] == 1 {
					holding.Done()
					holding.Wait()
				}
			}
			return nil
		})
	}
	var both errgroup.Group
	both.Go(func() error { return rename(0, a.ID, b.ID) })
	both.Go(func() error { return rename(1, b.ID, a.ID) })
	require.NoError(t, both.Wait())

	require.Equal(t, 3, runs[0]+runs[1], "one of them ran twice")
	require.Equal(t, []int{1, 1}, hooks, "a hook of the attempt given up does not run")
	for _, id := range []models.OwnerID{a.ID, b.ID} {
		owner, err := s.owners.Find(t.Context(), string(id))
		require.NoError(t, err)
		require.Equal(t, "xx", owner.Name)
	}
}

func TestLockedRowsSerializeTheirChanges(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owner := s.owner(t)
		var all errgroup.Group
		for range 20 {
			all.Go(func() error {
				return s.db.InTx(t.Context(), func(ctx context.Context) error {
					locked, err := s.owners.Lock(ctx, string(owner.ID))
					if err != nil {
						return err
					}
					locked.Name += "x"
					return s.owners.Update(ctx, locked)
				})
			})
		}
		require.NoError(t, all.Wait())
		got, err := s.owners.Find(t.Context(), string(owner.ID))
		require.NoError(t, err)
		require.Len(t, got.Name, 20)
		require.EqualValues(t, 21, got.Version)
	})
}

func TestTransactionIsGivenSoMuchTimeAndNoMore(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		db, err := openTarget(t.Context(), target, repositories.Options{TxTimeout: time.Second})
		s := newSuite(opened(t, db, err), &clock{now: at(1)})
		owner := s.newOwner(t)
		err = db.InTx(t.Context(), func(ctx context.Context) error {
			require.NoError(t, s.owners.Create(ctx, &owner))
			<-ctx.Done()
			return s.owners.Update(ctx, &owner)
		})
		refused(t, err, apierror.CodeStoreUnavailable)
		_, err = s.owners.Find(t.Context(), string(owner.ID))
		refused(t, err, apierror.CodeNotFound)
		require.NoError(t, s.owners.Create(t.Context(), &owner), "nothing stays locked")
	})
}

func TestCallerWhoLeavesIsToldSo(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.db.InTx(ctx, func(ctx context.Context) error {
			cancel()
			_, err := s.owners.Find(ctx, "x")
			return err
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, apierror.CodeUnavailable, apierror.CodeOf(err), "the database is not to blame")
		_, err = s.owners.Find(ctx, "x")
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, s.db.InTx(ctx, func(context.Context) error { return nil }), context.Canceled)
	})
}

func postgresSuite(t *testing.T) *suite {
	t.Helper()
	c := &clock{now: at(0)}
	db := engines[repositories.Postgres](t, patient(c))
	require.NoError(t, db.Migrate(t.Context()))
	return newSuite(db, c)
}

func TestTwoHandlesShareOneSQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "viva.db")
	var handles []*suite
	for range 2 {
		db, err := openTarget(t.Context(), path, patient(&clock{now: at(1)}))
		opened(t, db, err)
		require.NoError(t, db.Migrate(t.Context()))
		handles = append(handles, newSuite(db, &clock{now: at(1)}))
	}
	owner := handles[0].owner(t)
	var all errgroup.Group
	for i := range 20 {
		s := handles[i%2]
		all.Go(func() error {
			return s.db.InTx(t.Context(), func(ctx context.Context) error {
				locked, err := s.owners.Lock(ctx, string(owner.ID))
				if err != nil {
					return err
				}
				locked.Name += "x"
				return s.owners.Update(ctx, locked)
			})
		})
	}
	require.NoError(t, all.Wait())
	got, err := handles[1].owners.Find(t.Context(), string(owner.ID))
	require.NoError(t, err)
	require.Len(t, got.Name, 20)
}
