package repositories

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
)

// A Lock is an advisory lock that this process has until it releases it or
// dies. Its methods are for one goroutine at a time.
type Lock struct {
	db   *DB
	name string
	conn *pgx.Conn // ends with the lock; nil on SQLite
}

// lockCheck is how often a lock is looked after.
const lockCheck = time.Second

// AdvisoryLock takes a lock by name if no process that uses the database has
// it. It keeps a connection outside the pool for it. On SQLite the answer is
// always yes: whoever wants one process there locks the folder of the file.
func (db *DB) AdvisoryLock(ctx context.Context, name string) (lock *Lock, ok bool, err error) {
	if db.engine == SQLite {
		return &Lock{db: db, name: name}, true, nil
	}
	conn, err := pgx.ConnectConfig(ctx, db.session)
	if err != nil {
		return nil, false, fmt.Errorf("lock %s: %w", name, translate(ctx, err, "database"))
	}
	ok, err = tryLock(ctx, conn, name)
	if err != nil || !ok {
		db.endSession(conn)
		return nil, false, err
	}
	return &Lock{db: db, name: name, conn: conn}, true, nil
}

// Keep looks after the lock until ctx ends. PostgreSQL forgets it when it
// restarts or the connection breaks: then it is taken again, as soon as the
// database is there. Keep fails where another process was faster.
func (l *Lock) Keep(ctx context.Context) error {
	tick := time.NewTicker(lockCheck)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if l.held(ctx) || ctx.Err() != nil {
			continue
		}
		l.Release()
		again, ok, err := l.db.AdvisoryLock(ctx, l.name)
		switch {
		case err != nil: // the database is out of reach for others, too
		case !ok:
			return fmt.Errorf("another process has taken the lock %s", l.name)
		default:
			l.conn = again.conn
			l.db.options.Logger.Info("the lock was lost with its connection and is taken again", zap.String("lock", l.name))
		}
	}
}

func (l *Lock) held(ctx context.Context) bool {
	if l.conn == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, l.db.options.QueryTimeout)
	defer cancel()
	return l.conn.Ping(ctx) == nil
}

// Release gives the lock back.
func (l *Lock) Release() {
	if l.conn != nil {
		l.db.endSession(l.conn)
	}
}

func tryLock(ctx context.Context, conn *pgx.Conn, name string) (ok bool, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", lockID("session", name)).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", name, translate(ctx, err, "database"))
	}
	return ok, nil
}

// endSession closes a connection, which releases its locks.
func (db *DB) endSession(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), db.options.QueryTimeout)
	defer cancel()
	if err := conn.Close(ctx); err != nil {
		db.options.Logger.Warn("the connection of a lock did not close in good order", zap.Error(err))
	}
}

// lockID is the number that PostgreSQL knows a lock by: 64 bits of a hash, so
// that names of one kind do not meet those of another.
func lockID(kind, name string) int64 {
	sum := sha256.Sum256([]byte("viva:" + kind + ":" + name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// migrating waits until this process is the only one to migrate.
func (db *DB) migrating(ctx context.Context) (release func(), err error) {
	if db.engine == SQLite {
		return db.migratingFile(ctx)
	}
	conn, err := pgx.ConnectConfig(ctx, db.session)
	if err != nil {
		return nil, fmt.Errorf("lock migrations: %w", translate(ctx, err, "database"))
	}
	// Waiting inside PostgreSQL would hold a snapshot, for which CREATE INDEX
	// CONCURRENTLY in another process would wait in turn.
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		ok, err := tryLock(ctx, conn, "migrations")
		if ok {
			return func() { db.endSession(conn) }, nil
		}
		if err == nil {
			select {
			case <-poll.C:
				continue
			case <-ctx.Done():
				err = fmt.Errorf("lock migrations: %w", context.Cause(ctx))
			}
		}
		db.endSession(conn)
		return nil, err
	}
}

// migratingFile takes SQLite's own lock on an empty file beside the database:
// it ends with the process, and works wherever SQLite does. One in the database
// itself could not span the transactions of several migrations.
func (db *DB) migratingFile(ctx context.Context) (release func(), err error) {
	path := db.path + "-migrate"
	if err := private(path); err != nil {
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	pool, err := sqlitePool(path, readerCache, "_txlock", "exclusive", "_journal_mode", "DELETE", "_busy_timeout", "600000")
	if err != nil {
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	var tx *sql.Tx
	release = func() {
		if tx != nil {
			_ = tx.Rollback() // nothing was written
		}
		_ = pool.Close()
	}
	if tx, err = pool.BeginTx(ctx, nil); err != nil {
		release()
		return nil, fmt.Errorf("lock migrations: %w", translate(ctx, err, "database"))
	}
	return release, nil
}
