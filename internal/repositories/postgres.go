package repositories

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
)

// cancelWithin is how long the server is given to say that it has canceled a
// statement, before the connection is dropped.
const cancelWithin = time.Second

// OpenPostgres opens a PostgreSQL database (15 or newer) by its URL, with
// everything pgx reads from one. It fails unless the database answers.
func OpenPostgres(ctx context.Context, url string, o Options) (*DB, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open postgres: %w", err) // pgx masks the password
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "viva"
	}
	// By default pgx does not wait until the server has canceled a statement, so
	// one that was reported as failed could still be done, and the connection is
	// lost.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelWithin}
	}
	pool := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		err := prepareSession(ctx, conn)
		if err == nil && o.ReadOnly {
			_, err = conn.Exec(ctx, "SET default_transaction_read_only = on")
		}
		return err
	}))
	pool.SetConnMaxLifetime(o.ConnMaxLifetime)
	db, err := open(ctx, postgresDialect, pool, pool, postgres.New(postgres.Config{Conn: pool}), o)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	db.session = config
	return db, nil
}

// prepareSession makes times come back in UTC instead of the zone of this
// machine, and keeps the server from compiling queries: where it expects many
// rows, that takes half a second, and reading the few there are a millisecond.
func prepareSession(ctx context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	_, err := conn.Exec(ctx, "SET jit = off")
	return err
}
