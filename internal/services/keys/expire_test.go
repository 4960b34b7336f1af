package keys_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // reads PostgreSQL beside the repositories
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // and SQLite

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/internal/testenv"
)

// ending is the world with what ends keys in it.
type ending struct {
	*world
	expirer *keys.Expirer
	store   repositories.Keys
	sql     *sql.DB
}

func eachEnding(t *testing.T, test func(t *testing.T, w *ending)) {
	t.Helper()
	for engine, driver := range map[string]string{"sqlite": "sqlite", "postgres": "pgx"} {
		t.Run(engine, func(t *testing.T) {
			source := filepath.Join(t.TempDir(), "viva.db")
			if engine == "postgres" {
				source = testenv.Postgres(t)
			}
			w := newWorldOn(t, func(o repositories.Options) (*repositories.DB, error) {
				if engine == "postgres" {
					return repositories.OpenPostgres(t.Context(), source, o)
				}
				return repositories.OpenSQLite(t.Context(), source, o)
			})
			pool, err := sql.Open(driver, source)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, pool.Close()) })
			store := repositories.NewKeys(w.db)
			test(t, &ending{w, keys.NewExpirer(w.Service, store, repositories.NewNotices(w.db)), store, pool})
		})
	}
}

// expire runs the job by eight at once and then once more, and gives what was
// recorded and told.
func (w *ending) expire(t *testing.T) (made []string, told []models.Event) {
	t.Helper()
	before := len(w.events(t))
	entries, _ := w.during(t, func() {
		var group errgroup.Group
		for range 8 {
			group.Go(func() error { _, err := w.expirer.Expire(t.Context(), ""); return err })
		}
		require.NoError(t, group.Wait())
		again, err := w.expirer.Expire(t.Context(), "")
		require.NoError(t, err)
		require.Zero(t, again)
	})
	for _, e := range entries {
		require.Equal(t, "system", e.ActorKind)
	}
	return actions(entries), w.events(t)[before:]
}

// events gives all that was told.
func (w *ending) events(t *testing.T) (list []models.Event) {
	t.Helper()
	rows, err := w.sql.QueryContext(t.Context(), "SELECT event FROM notices ORDER BY created_at, id")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var data []byte
		var event models.Event
		require.NoError(t, rows.Scan(&data))
		require.NoError(t, json.Unmarshal(data, &event))
		list = append(list, event)
	}
	require.NoError(t, rows.Err())
	return list
}

func TestExpiryIsRecordedAndToldOnce(t *testing.T) {
	eachEnding(t, func(t *testing.T, w *ending) {
		end := w.now.Add(time.Hour)
		key := w.create(t, keys.NewKey{ExpiresAt: &end}).Key
		revoked := w.create(t, keys.NewKey{ExpiresAt: &end}).Key
		w.create(t, keys.NewKey{})
		_, err := w.Revoke(t.Context(), revoked.ID)
		require.NoError(t, err)
		made, told := w.expire(t)
		require.Empty(t, made)
		require.Empty(t, told)

		w.now = end // from that instant on it has expired
		made, told = w.expire(t)
		require.Equal(t, []string{"key.expire"}, made)
		require.Len(t, told, 1)
		require.Equal(t, models.EventKeyExpired, told[0].Type)
		require.Equal(t, key.ID, told[0].KeyID)
		require.Equal(t, key.OwnerID, told[0].OwnerID)
		require.Equal(t, key.Version+1, w.find(t, key.ID).Key.Version)

		// Another end is told of as well; the same one, or none, is not.
		w.now = w.now.Add(time.Hour)
		later, same := w.now.Add(time.Hour), end
		_, err = w.Update(t.Context(), key.ID, 0, keys.Patch{ExpiresAt: ptr(&same), Name: ptr("renamed")})
		require.NoError(t, err)
		made, _ = w.expire(t)
		require.Empty(t, made)
		_, err = w.Update(t.Context(), key.ID, 0, keys.Patch{ExpiresAt: ptr(&later)})
		require.NoError(t, err)
		made, _ = w.expire(t)
		require.Empty(t, made)
		w.now = later
		made, told = w.expire(t)
		require.Equal(t, []string{"key.expire"}, made)
		require.Len(t, told, 1)
	})
}

func TestSuspensionsThatHaveEndedAreTakenOff(t *testing.T) {
	eachEnding(t, func(t *testing.T, w *ending) {
		until, expiry := w.now.Add(time.Hour), w.now.Add(30*time.Minute)
		key, forever, expired := w.create(t, keys.NewKey{}).Key, w.create(t, keys.NewKey{}).Key, w.create(t, keys.NewKey{ExpiresAt: &expiry}).Key
		for id, until := range map[models.KeyID]*time.Time{key.ID: &until, forever.ID: nil, expired.ID: &until} {
			_, err := w.Suspend(t.Context(), id, until, "abuse")
			require.NoError(t, err)
		}
		w.now = expiry
		_, told := w.expire(t)
		require.Len(t, told, 1)

		w.now = until
		require.Equal(t, models.KeyActive, ptr(w.find(t, key.ID).Key).Status(w.now), "whether or not anybody has noticed")
		made, told := w.expire(t)
		require.Equal(t, []string{"key.activate", "key.activate"}, made)
		require.Len(t, told, 1, "the other one has expired meanwhile")
		require.Equal(t, models.EventKeyActivated, told[0].Type)
		require.Equal(t, key.ID, told[0].KeyID)
		for id, suspended := range map[models.KeyID]bool{key.ID: false, expired.ID: false, forever.ID: true} {
			k := w.find(t, id).Key
			require.Equal(t, suspended, k.SuspendedAt != nil)
			require.Equal(t, suspended, k.SuspendReason != "")
			require.Nil(t, k.SuspendedUntil)
		}
		made, _ = w.expire(t)
		require.Empty(t, made)
	})
}

func TestSecretsAreErasedADayAfterTheEndOfTheirGrace(t *testing.T) {
	eachEnding(t, func(t *testing.T, w *ending) {
		key := w.create(t, keys.NewKey{}).Key
		for range 2 {
			_, err := w.Rotate(t.Context(), key.ID, time.Hour)
			require.NoError(t, err)
		}
		w.now = w.now.Add(25*time.Hour - time.Microsecond)
		made, _ := w.expire(t)
		require.Empty(t, made, "whoever uses it is told that it has expired, for a day")
		require.Len(t, w.find(t, key.ID).Secrets, 3)
		w.now = w.now.Add(time.Microsecond)
		version := w.find(t, key.ID).Key.Version
		made, told := w.expire(t)
		require.Equal(t, []string{"secret.expire"}, made)
		require.Empty(t, told)
		view := w.find(t, key.ID)
		require.Len(t, view.Secrets, 1)
		require.Equal(t, version+1, view.Key.Version, "no node keeps the secrets")
	})
}

func TestManyEndAtOnceInBoundedRuns(t *testing.T) {
	eachEnding(t, func(t *testing.T, w *ending) {
		end := w.now.Add(time.Hour)
		var ids []models.KeyID
		for range 250 {
			ids = append(ids, w.create(t, keys.NewKey{ExpiresAt: &end}).Key.ID)
		}
		w.now = end
		again, err := w.expirer.Expire(t.Context(), "")
		require.NoError(t, err)
		require.Positive(t, again)
		again, err = w.expirer.Expire(t.Context(), "")
		require.NoError(t, err)
		require.Zero(t, again)
		events := w.events(t)
		require.Len(t, events, 250)
		for _, e := range events {
			require.True(t, slices.Contains(ids, e.KeyID))
		}
	})
}

func TestWhatIsNotRecordedIsNotTold(t *testing.T) {
	eachEnding(t, func(t *testing.T, w *ending) {
		end := w.now.Add(time.Hour)
		key := w.create(t, keys.NewKey{ExpiresAt: &end}).Key
		w.now = end
		w.changes.FailOn = "key.expire"
		_, err := w.expirer.Expire(t.Context(), "")
		require.Error(t, err)
		require.Empty(t, w.events(t))
		w.changes.FailOn = ""
		made, told := w.expire(t)
		require.Equal(t, []string{"key.expire"}, made)
		require.Len(t, told, 1)
		require.NoError(t, w.Erase(context.WithoutCancel(t.Context()), key.ID))
		made, _ = w.expire(t)
		require.Empty(t, made)
	})
}
