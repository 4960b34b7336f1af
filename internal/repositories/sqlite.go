package repositories

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"gorm.io/driver/sqlite"
	modernc "modernc.org/sqlite"
)

// OpenSQLite opens a SQLite file, made where there is none, for its owner
// alone. Several processes may have it open.
func OpenSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	var settings []string
	if o.ReadOnly {
		// In mode ro, SQLite would leave its other files behind.
		settings = []string{"mode", "rw", "_query_only", "1", "_journal_mode", "", "_txlock", "deferred"}
	} else if err := private(path); err != nil {
		return nil, fmt.Errorf("open sqlite: %w", err)
	}
	pool, err := sqlitePool(path, readerCache, settings...)
	if err != nil {
		return nil, fmt.Errorf("open sqlite: %w", err)
	}
	writer, err := sqlitePool(path, writerCache, settings...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open sqlite: %w", err), pool.Close())
	}
	writer.SetMaxOpenConns(1)
	db, err := open(ctx, sqliteDialect, pool, writer, sqlite.New(sqlite.Config{Conn: pool}), o)
	if err != nil {
		return nil, errors.Join(err, writer.Close(), pool.Close())
	}
	db.path = path
	return db, nil
}

// Pages that a connection keeps, in KiB. With fewer, a batch of the usage of many
// keys is read and written several times.
const readerCache, writerCache = 8 << 10, 64 << 10

// sqlitePool makes connections to a file. Settings given as name and value stand
// in place of these; an empty value leaves it to the file.
func sqlitePool(path string, cache int, instead ...string) (*sql.DB, error) {
	settings := url.Values{
		"_busy_timeout": {"5000"}, // ms
		"_journal_mode": {"WAL"},  // readers and the writer do not wait for each other
		"_synchronous":  {"FULL"}, // a commit survives the loss of power
		"_foreign_keys": {"on"},
		"_txlock":       {"immediate"}, // a read lock that turns into a write lock can fail
		"_dqs":          {"0"},         // a misspelled column is an error, not a string
		"_error_rc":     {"1"},
		"_pragma": {
			fmt.Sprintf("cache_size(-%d)", cache),
			"wal_autocheckpoint(8192)", // pages: with the usual 1000, each batch of keys is copied by itself
		},
		// Times as integer microseconds, in columns declared TIMESTAMP.
		"_time_integer_format": {"unix_micro"},
		"_inttotime":           {"1"},
		"_texttotime":          {"0"},
	}
	for i := 0; i < len(instead); i += 2 {
		settings.Set(instead[i], instead[i+1])
		if instead[i+1] == "" {
			settings.Del(instead[i])
		}
	}
	connector, err := modernc.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + settings.Encode())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// private makes the file before SQLite does, which would let everyone read it;
// SQLite's other files take over its mode.
func private(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}
