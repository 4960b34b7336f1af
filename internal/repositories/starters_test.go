package repositories_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/testenv"
)

// starter names the database that this program, run again by a test, is to
// migrate instead of running tests.
const starter = "VIVA_TEST_MIGRATE"

func TestMain(m *testing.M) {
	if target := os.Getenv(starter); target != "" {
		if err := start(target); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func start(target string) error {
	ctx := context.Background()
	db, err := openTarget(ctx, target, repositories.Options{TxTimeout: time.Minute, QueryTimeout: time.Minute})
	if err != nil {
		return err
	}
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	return db.Close()
}

func openTarget(ctx context.Context, target string, o repositories.Options) (*repositories.DB, error) {
	if strings.HasPrefix(target, "postgres:") {
		return repositories.OpenPostgres(ctx, target, o)
	}
	return repositories.OpenSQLite(ctx, target, o)
}

// eachTarget runs a test on a migrated database of each engine that it opens
// itself.
func eachTarget(t *testing.T, test func(t *testing.T, target string)) {
	t.Helper()
	targets := map[string]string{
		repositories.SQLite:   filepath.Join(t.TempDir(), "viva.db"),
		repositories.Postgres: testenv.Postgres(t),
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, start(target))
			test(t, target)
		})
	}
}

func TestOfManyProcessesThatMigrateOneDoesIt(t *testing.T) {
	targets := map[string]string{
		repositories.SQLite:   filepath.Join(t.TempDir(), "viva.db"),
		repositories.Postgres: testenv.Postgres(t),
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			var processes errgroup.Group
			for range 8 {
				processes.Go(func() error {
					command := exec.CommandContext(t.Context(), os.Args[0])
					command.Env = append(os.Environ(), starter+"="+target)
					if said, err := command.CombinedOutput(); err != nil {
						return fmt.Errorf("%w: %s", err, said)
					}
					return nil
				})
			}
			require.NoError(t, processes.Wait())
			db, err := openTarget(t.Context(), target, repositories.Options{})
			requireMigratedOnce(t, opened(t, db, err))
		})
	}
}

func TestOfManyHandlesThatMigrateOneDoesIt(t *testing.T) {
	targets := map[string]string{
		repositories.SQLite:   filepath.Join(t.TempDir(), "of many? 100%#.db"),
		repositories.Postgres: testenv.Postgres(t),
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			var handles errgroup.Group
			for range 8 {
				handles.Go(func() error { return start(target) })
			}
			require.NoError(t, handles.Wait())
			db, err := openTarget(t.Context(), target, repositories.Options{})
			requireMigratedOnce(t, opened(t, db, err))
		})
	}
}

func requireMigratedOnce(t *testing.T, db *repositories.DB) {
	t.Helper()
	var rows, versions int
	require.NoError(t, repositories.Pool(db).QueryRowContext(t.Context(),
		"SELECT count(*), count(DISTINCT version_id) FROM goose_db_version").Scan(&rows, &versions))
	require.Equal(t, versions, rows, "every step was taken once")
	steps, err := db.MigrationStatus(t.Context())
	require.NoError(t, err)
	require.Equal(t, len(steps)+1, rows)
	plans, err := repositories.NewPlans(db).List(t.Context(), models.Page{}, true)
	require.NoError(t, err)
	require.Len(t, plans, 3)
	keyspaces, err := repositories.NewKeyspaces(db).All(t.Context())
	require.NoError(t, err)
	require.Len(t, keyspaces, 1)
}
