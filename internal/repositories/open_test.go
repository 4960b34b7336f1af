package repositories_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestSQLiteFileIsItsOwnersAlone(t *testing.T) {
	folder := t.TempDir()
	db, err := repositories.OpenSQLite(t.Context(), filepath.Join(folder, "viva.db"), repositories.Options{})
	opened(t, db, err)
	require.NoError(t, db.Migrate(t.Context()))
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		info, err := file.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file.Name())
	}
}

func TestSQLiteSettingsHoldOnEveryConnection(t *testing.T) {
	db := engines[repositories.SQLite](t, repositories.Options{})
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000",
	} {
		// Held until the test ends, so that each question has another connection.
		conn, err := repositories.Pool(db).Conn(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		var got string
		require.NoError(t, conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
		require.Equal(t, want, got, pragma)
	}
}

func TestOpeningWhatCannotBeOpenedFails(t *testing.T) {
	_, err := repositories.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "no", "folder", "viva.db"), repositories.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = repositories.OpenPostgres(t.Context(), "postgres://viva:hunter2@localhost:notaport/x", repositories.Options{})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
	_, err = repositories.OpenPostgres(t.Context(), "postgres://viva:hunter2@127.0.0.1:1/x", repositories.Options{})
	refused(t, err, apierror.CodeStoreUnavailable)
	require.NotContains(t, err.Error(), "hunter2")

	notADatabase := filepath.Join(t.TempDir(), "notes.txt")
	require.NoError(t, os.WriteFile(notADatabase, []byte("this is a text of more than a hundred bytes, so that SQLite reads a whole header "+
		"and finds that it is none of its own"), 0o600))
	_, err = repositories.OpenSQLite(t.Context(), notADatabase, repositories.Options{})
	require.Error(t, err)
}

func TestPostgresGoneIsUnavailableAndBackIsBack(t *testing.T) {
	server := testenv.PostgresServer(t)
	log, logs := observer.New(zapcore.DebugLevel)
	db, err := repositories.OpenPostgres(t.Context(), server.URL(), repositories.Options{Logger: zap.New(log)})
	opened(t, db, err)
	require.NoError(t, db.Migrate(t.Context()))
	s := newSuite(db, &clock{now: at(1)})
	owner := s.owner(t)

	server.Kill()
	_, err = s.owners.Find(t.Context(), string(owner.ID))
	refused(t, err, apierror.CodeStoreUnavailable)
	err = s.db.InTx(t.Context(), func(ctx context.Context) error { return s.owners.Update(ctx, owner) })
	refused(t, err, apierror.CodeStoreUnavailable)
	require.EqualValues(t, 1, owner.Version)
	refused(t, db.Ping(t.Context()), apierror.CodeStoreUnavailable)
	_, _, err = db.AdvisoryLock(t.Context(), "serve")
	refused(t, err, apierror.CodeStoreUnavailable)
	require.NotEmpty(t, logs.FilterMessage("statement failed").All())

	server.Start()
	require.NoError(t, db.Ping(t.Context()))
	got, err := s.owners.Find(t.Context(), string(owner.ID))
	require.NoError(t, err)
	require.Equal(t, owner, got)
}

func TestConnectionsThatAreCutInTheMiddleAreUnavailable(t *testing.T) {
	s := postgresSuite(t)
	owner := s.owner(t)
	err := s.db.InTx(t.Context(), func(ctx context.Context) error {
		if _, err := s.owners.Lock(ctx, string(owner.ID)); err != nil {
			return err
		}
		_, err := repositories.Pool(s.db).ExecContext(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'`)
		require.NoError(t, err)
		return s.owners.Update(ctx, owner)
	})
	refused(t, err, apierror.CodeStoreUnavailable)
	_, err = s.owners.Find(t.Context(), string(owner.ID))
	require.NoError(t, err)
}

func TestStatementThatTakesTooLongIsNotDone(t *testing.T) {
	eachTarget(t, func(t *testing.T, target string) {
		db, err := openTarget(t.Context(), target, repositories.Options{QueryTimeout: time.Second})
		s := newSuite(opened(t, db, err), &clock{now: at(1)})
		owner := s.owner(t)
		inTx(t, db, func(ctx context.Context) {
			_, err := s.owners.Lock(ctx, string(owner.ID))
			require.NoError(t, err)
			// Of another caller: it waits for the row, or for the file.
			refused(t, s.owners.Update(t.Context(), ptr(*owner)), apierror.CodeStoreUnavailable)
			if db.Engine() == repositories.Postgres {
				var waiting int
				require.NoError(t, repositories.Pool(db).QueryRowContext(t.Context(),
					"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting))
				require.Zero(t, waiting, "it is not left behind in the server")
			}
		})
		require.NoError(t, s.owners.Update(t.Context(), owner), "nor is it done later")
	})
}

func TestTextThatPostgresCannotHoldIsInvalid(t *testing.T) {
	s := postgresSuite(t)
	for _, name := range []string{"a\x00b", "\xff"} {
		owner := s.newOwner(t)
		owner.Name = name
		refused(t, s.owners.Create(t.Context(), &owner), apierror.CodeValidationFailed)
		owner.Name, owner.Metadata = "", map[string]string{"k": "a\x00b"}
		refused(t, s.owners.Create(t.Context(), &owner), apierror.CodeValidationFailed)
		_, err := s.owners.List(t.Context(), models.OwnerFilter{Name: name}, models.Page{})
		refused(t, err, apierror.CodeValidationFailed)
	}
}

func TestStatementsAreLoggedWithoutTheirValues(t *testing.T) {
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			log, logs := observer.New(zapcore.DebugLevel)
			var (
				texts    strings.Builder // of all that it is told
				failures []string
			)
			told := func(ctx context.Context, began time.Time, statement func() (string, int64), failure string) {
				text, _ := statement()
				texts.WriteString(text + "\n")
				require.False(t, began.IsZero())
				require.NotNil(t, ctx.Done(), "it is that of the caller, bounded")
				if failure != "" {
					failures = append(failures, failure)
				}
			}
			db := open(t, repositories.Options{Logger: zap.New(log), SlowQuery: time.Nanosecond, OnStatement: told})
			require.NoError(t, db.Migrate(t.Context()))
			s := newSuite(db, &clock{now: at(1)})
			owner := s.newOwner(t)
			owner.Name, owner.ExternalID = "Zebra", ptr("zebra-42")
			require.NoError(t, s.owners.Create(t.Context(), &owner))
			_, err := s.owners.Find(t.Context(), "zebra-42")
			require.NoError(t, err)
			_, err = s.keys.Snapshot(t.Context(), []apikey.Hash{apikey.Sum("Zebra")})
			refused(t, err, apierror.CodeNotFound)
			twin := owner
			twin.ID = models.NewID[models.OwnerID]()
			refused(t, s.owners.Create(t.Context(), &twin), apierror.CodeAlreadyExists)
			twin.ExternalID, twin.AnchorDay = nil, 99
			err = s.owners.Create(t.Context(), &twin)
			require.Equal(t, apierror.CodeInternal, apierror.CodeOf(err))

			slow, failed := logs.FilterMessage("slow statement").All(), logs.FilterMessage("statement failed").All()
			require.NotEmpty(t, slow)
			require.Len(t, failed, 1, "what a caller brings about is no failure")
			require.Equal(t, []string{failed[0].ContextMap()["reason"].(string)}, failures)
			require.Contains(t, texts.String(), "INSERT INTO")
			require.Contains(t, texts.String(), "\nCOMMIT\n")
			require.NotRegexp(t, `(?i)zebra|99|`+string(owner.ID), texts.String())
			require.Contains(t, failed[0].ContextMap()["sql"], `INSERT INTO`)
			for _, entry := range logs.All() {
				fields := entry.ContextMap()
				for _, name := range []string{"sql", "reason"} {
					require.NotRegexp(t, `(?i)zebra|99|`+string(owner.ID), fields[name])
				}
			}
		})
	}
}
