package keys_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/internal/testenv"
)

// These need an engine where two transactions run at once.

// newShared gives the service over PostgreSQL, and a way to wait until one of
// its transactions waits for another.
func newShared(t *testing.T) (w *world, blocked func()) {
	t.Helper()
	url := testenv.Postgres(t)
	w = newWorldOn(t, func(o repositories.Options) (*repositories.DB, error) {
		return repositories.OpenPostgres(t.Context(), url, o)
	})
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	return w, func() {
		t.Helper()
		require.Eventually(t, func() bool {
			var waiting int
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting))
			return waiting > 0
		}, 10*time.Second, 5*time.Millisecond)
	}
}

func TestNoKeyIsMadeForAnOwnerThatIsBeingArchived(t *testing.T) {
	w, blocked := newShared(t)
	w.owner(t, "ada", "free")
	stray := w.create(t, keys.NewKey{})
	attempts := map[string]func() error{
		"create": func() error { _, err := w.Create(t.Context(), keys.NewKey{Name: "k", Owner: "ada"}); return err },
		"move": func() error {
			_, err := w.Update(t.Context(), stray.Key.ID, 0, keys.Patch{Owner: ptr("ada")})
			return err
		},
	}
	for name, attempt := range attempts {
		t.Run(name, func(t *testing.T) {
			result := make(chan error, 1)
			require.NoError(t, w.db.InTx(t.Context(), func(ctx context.Context) error {
				owner, err := w.owners.Lock(ctx, "ada")
				require.NoError(t, err)
				owner.ArchivedAt = &w.now
				require.NoError(t, w.owners.Update(ctx, owner))
				go func() { result <- attempt() }()
				blocked()
				return nil
			}))
			require.Equal(t, []string{"owner"}, badFields(t, <-result))
			owner, err := w.owners.Find(t.Context(), "ada")
			require.NoError(t, err)
			owner.ArchivedAt = nil
			require.NoError(t, w.owners.Update(t.Context(), owner))
		})
	}
}

func TestChangesOfOneKeyFollowEachOther(t *testing.T) {
	w, blocked := newShared(t)
	id := w.create(t, keys.NewKey{}).Key.ID
	result := make(chan error, 1)
	require.NoError(t, w.db.InTx(t.Context(), func(ctx context.Context) error {
		_, err := w.Suspend(ctx, id, nil, "abuse")
		require.NoError(t, err)
		go func() {
			_, err := w.Update(t.Context(), id, 0, keys.Patch{Name: ptr("renamed")})
			result <- err
		}()
		blocked()
		return nil
	}))
	require.NoError(t, <-result)
	key := w.find(t, id).Key
	require.Equal(t, models.KeySuspended, key.Status(w.now), "neither change is lost")
	require.Equal(t, "renamed", key.Name)
}

func TestBatchesThatShareOwnersDoNotWaitForEachOtherForEver(t *testing.T) {
	w, _ := newShared(t)
	w.owner(t, "ada", "free")
	w.owner(t, "bob", "free")
	orders := [][]keys.NewKey{
		{{Name: "k", Owner: "ada"}, {Name: "k", Owner: "bob"}},
		{{Name: "k", Owner: "bob"}, {Name: "k", Owner: "ada"}},
	}
	const rounds = 10
	results := make(chan error, len(orders))
	for _, order := range orders {
		go func() {
			for range rounds {
				if _, err := w.CreateMany(t.Context(), order); err != nil {
					results <- err
					return
				}
			}
			results <- nil
		}()
	}
	for range orders {
		require.NoError(t, <-results)
	}
	keyCount, _ := w.count(t)
	require.Equal(t, 2*len(orders)*rounds, keyCount)
}
