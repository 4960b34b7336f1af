package repositories

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"
)

// Pool gives tests the connections below GORM.
func Pool(db *DB) *sql.DB { return db.pool }

// FindFew sets of how many keys at most a page is made by finding all of them, and
// gives what sets it back.
func FindFew(keys int) (restore func()) {
	before := fewKeys
	fewKeys = keys
	return func() { fewKeys = before }
}

// Explain tells of the plan of every query from now on, before it runs.
func Explain(db *DB, tell func(plan string)) {
	db.gorm.Statement.ConnPool = explainer{db.pool, db.engine, tell, db.pool}
	db.writing.Statement.ConnPool = explainer{db.writer, db.engine, tell, db.writer}
}

type explainer struct {
	gorm.ConnPool
	engine string
	tell   func(plan string)
	pool   *sql.DB
}

// BeginTx begins a transaction whose queries are explained as well.
func (e explainer) BeginTx(ctx context.Context, options *sql.TxOptions) (gorm.ConnPool, error) {
	tx, err := e.pool.BeginTx(ctx, options)
	return &explainedTx{explainer{tx, e.engine, e.tell, nil}, tx}, err
}

type explainedTx struct {
	explainer
	gorm.TxCommitter
}

func (e explainer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	plan, err := e.plan(ctx, query, args)
	if err != nil {
		return nil, err
	}
	e.tell(plan)
	return e.ConnPool.QueryContext(ctx, query, args...)
}

func (e explainer) plan(ctx context.Context, query string, args []any) (plan string, err error) {
	into, prefix := []any{new(string)}, "EXPLAIN "
	if e.engine == SQLite {
		into, prefix = []any{new(int), new(int), new(int), new(string)}, "EXPLAIN QUERY PLAN "
	}
	rows, err := e.ConnPool.QueryContext(ctx, prefix+query, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return "", err
		}
		plan += *into[len(into)-1].(*string) + "\n"
	}
	return plan, rows.Err()
}

// TotalSome takes up so many keys of a bucket at a time, so many times.
func TotalSome(ctx context.Context, db *DB, until time.Time, keys, times int) error {
	u := UsageUpkeep{db, keys}
	for range times {
		err := db.InTx(ctx, func(ctx context.Context) error {
			_, err := u.total(ctx, until)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
