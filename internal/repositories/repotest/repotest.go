// Package repotest gives tests of services a real database, and changes that
// are recorded there as the programs record them, or fail to be.
//
// Floor F3, for tests alone: imports repositories, the audit service, models
// and testify.
package repotest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/audit"
)

// OpenSQLite opens a database in a file of the test's own.
func OpenSQLite(tb testing.TB, clock func() time.Time) *repositories.DB {
	tb.Helper()
	return Migrated(tb, clock, func(o repositories.Options) (*repositories.DB, error) {
		return repositories.OpenSQLite(tb.Context(), filepath.Join(tb.TempDir(), "viva.db"), o)
	})
}

// Migrated opens a database, migrates it, and closes it with the test. It gives
// statements more time than the programs do: the race detector slows SQLite
// down by more than an order of magnitude.
func Migrated(tb testing.TB, clock func() time.Time, open func(o repositories.Options) (*repositories.DB, error)) *repositories.DB {
	tb.Helper()
	db, err := open(repositories.Options{Clock: clock, QueryTimeout: time.Minute, TxTimeout: time.Minute})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	require.NoError(tb, db.Migrate(tb.Context()))
	return db
}

// ErrRecord is the error of a change that was to fail.
var ErrRecord = errors.New("not recorded")

// Changes records in the database, or fails to. Its fields and During are for
// one goroutine.
type Changes struct {
	Audit  *audit.Service
	Fail   bool   // every change
	FailOn string // changes of this action

	db            *repositories.DB
	invalidations repositories.Invalidations
	watched       *[]models.Change
}

// NewChanges makes changes over a database.
func NewChanges(db *repositories.DB, clock func() time.Time) *Changes {
	return &Changes{
		db: db, Audit: audit.New(repositories.NewAudit(db), clock), invalidations: repositories.NewInvalidations(db),
	}
}

// InTx runs fn in a transaction.
func (c *Changes) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	return c.db.InTx(ctx, fn)
}

// Record writes audit rows and invalidations. A change that is to fail does so
// after its row was written: what came before it must be taken back.
func (c *Changes) Record(ctx context.Context, list ...models.Change) error {
	if err := c.Audit.Record(ctx, list...); err != nil {
		return err
	}
	var stale []models.Dependency
	for _, change := range list {
		if c.Fail || change.Action == c.FailOn {
			return ErrRecord
		}
		stale = append(stale, change.Stale...)
	}
	if c.watched != nil {
		*c.watched = append(*c.watched, list...)
	}
	return c.invalidations.Append(ctx, models.Invalidations(stale))
}

// During gives the changes that fn made.
func (c *Changes) During(fn func()) []models.Change {
	var made []models.Change
	c.watched = &made
	fn()
	c.watched = nil
	return made
}
