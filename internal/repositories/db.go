package repositories

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"go.uber.org/zap"
	"gorm.io/gorm"
)

// Options of a database; zero fields take the defaults named.
type Options struct {
	MaxOpenConns    int           // 16
	MaxIdleConns    int           // as many as MaxOpenConns
	ConnMaxLifetime time.Duration // PostgreSQL only; 0 keeps connections for ever
	QueryTimeout    time.Duration // of one statement; 5 s
	TxTimeout       time.Duration // of a transaction with its retries; 5 s
	SlowQuery       time.Duration // statements logged as slow; 500 ms
	DefaultPrefix   string        // of the keyspace that Migrate plants; viva
	Logger          *zap.Logger   // slow and failing statements, never their parameters
	Clock           func() time.Time
	// OnStatement is told of every statement that has ended: when it began, its text
	// with placeholders in place of values, and in a word why it failed, if it did.
	// Nil tells nobody.
	OnStatement func(ctx context.Context, began time.Time, statement func() (sql string, rows int64), failure string)
	ReadOnly    bool // nothing can be changed, and a file has to be there
}

func (o Options) withDefaults() Options {
	if o.MaxOpenConns == 0 {
		o.MaxOpenConns = 16
	}
	if o.MaxIdleConns == 0 {
		o.MaxIdleConns = o.MaxOpenConns
	}
	if o.QueryTimeout == 0 {
		o.QueryTimeout = 5 * time.Second
	}
	if o.TxTimeout == 0 {
		o.TxTimeout = 5 * time.Second
	}
	if o.SlowQuery == 0 {
		o.SlowQuery = 500 * time.Millisecond
	}
	if o.DefaultPrefix == "" {
		o.DefaultPrefix = "viva"
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

// DB is an open database.
type DB struct {
	dialect
	options Options
	pool    *sql.DB
	gorm    *gorm.DB
	schema  *goose.Provider

	// What transactions run on. On SQLite it is one connection of its own: they
	// wait for it in order of arrival, where SQLite alone would let them poll for
	// the lock, and what it has cached is not outdated by another that wrote.
	writer  *sql.DB
	writing *gorm.DB

	path    string          // of the file; SQLite only
	session *pgx.ConnConfig // for connections outside the pool; PostgreSQL only
}

// open puts GORM on a pool. GORM's cache of prepared statements stays off: pgx
// has its own, and with GORM's, transactions that hold every connection can
// wait for a statement that waits for a connection.
func open(ctx context.Context, d dialect, pool, writer *sql.DB, driver gorm.Dialector, o Options) (*DB, error) {
	o = o.withDefaults()
	pool.SetMaxOpenConns(o.MaxOpenConns)
	pool.SetMaxIdleConns(o.MaxIdleConns)
	db := &DB{dialect: d, options: o, pool: pool, writer: writer}
	if err := db.Ping(ctx); err != nil {
		return nil, fmt.Errorf("open %s: %w", d.engine, err)
	}
	var err error
	db.gorm, err = gorm.Open(driver, &gorm.Config{
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		NowFunc:                db.now,
		Logger:                 statementLog{o.Logger, o.SlowQuery, o.OnStatement},
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", d.engine, err)
	}
	db.writing = db.gorm
	if writer != pool {
		db.writing = db.gorm.Session(&gorm.Session{NewDB: true, Context: context.Background()})
		db.writing.Statement.ConnPool = writer
	}
	db.schema, err = goose.NewProvider(d.goose, pool, d.files(), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return db, nil
}

// Engine is "postgres" or "sqlite".
func (db *DB) Engine() string { return db.engine }

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, db.options.QueryTimeout)
	defer cancel()
	return translate(ctx, db.pool.PingContext(bounded), "database")
}

// Close closes the connections, when the statements under way have ended.
func (db *DB) Close() error { return errors.Join(db.writer.Close(), db.pool.Close()) }

// now is the clock to the precision of the stored times.
func (db *DB) now() time.Time { return db.options.Clock().UTC().Truncate(time.Microsecond) }

// do runs one statement, or a few that belong together, in the transaction of
// ctx or outside of any. The noun names in errors what it is about.
func (db *DB) do(ctx context.Context, noun string, fn func(g *gorm.DB) error) error {
	bounded, cancel := context.WithTimeout(ctx, db.options.QueryTimeout)
	defer cancel()
	g, tx := db.gorm, db.transaction(ctx)
	if tx != nil {
		g = tx.gorm
	}
	err := fn(g.WithContext(bounded))
	if tx != nil {
		tx.note(err)
	}
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		// PostgreSQL says no more than that the statement was canceled.
		err = fmt.Errorf("%w: %w", bounded.Err(), err)
	}
	return translate(ctx, err, noun)
}
