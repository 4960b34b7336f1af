package repositories

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// txAttempts is how often a transaction is tried that the database gives up
// for the sake of another.
const txAttempts = 5

type transaction struct {
	gorm    *gorm.DB
	hooks   []func()
	failure error
}

type txKey struct{ db *DB }

func (db *DB) transaction(ctx context.Context) *transaction {
	tx, _ := ctx.Value(txKey{db}).(*transaction)
	return tx
}

// note remembers a failed statement. PostgreSQL refuses everything after one;
// remembering it makes SQLite commit no more than PostgreSQL would.
func (tx *transaction) note(err error) {
	if _, ours := apierror.As(err); err != nil && !ours && !errors.Is(err, gorm.ErrRecordNotFound) && tx.failure == nil {
		tx.failure = err
	}
}

// InTx runs fn in a transaction, which the context given to it carries, and
// commits it if fn returns nil. Inside another InTx it joins that one, which
// must then return its error.
//
// The transaction is given Options.TxTimeout. When the database gives it up in
// favor of another one, fn runs again from the start: fn must read what it
// changes inside, and leave what is outside alone until after the commit. A
// failed statement dooms the transaction, whatever fn makes of the error. A
// panic rolls back.
func (db *DB) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	if db.transaction(ctx) != nil {
		return fn(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, db.options.TxTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		hooks, err := db.attempt(bounded, fn)
		if err == nil {
			for _, hook := range hooks {
				hook()
			}
			return nil
		}
		if attempt == txAttempts || !serialization(err) || !pause(bounded, attempt) {
			return translate(ctx, err, "transaction")
		}
	}
}

func (db *DB) attempt(ctx context.Context, fn func(ctx context.Context) error) ([]func(), error) {
	tx := &transaction{gorm: db.writing.WithContext(ctx).Begin()}
	if tx.gorm.Error != nil {
		return nil, tx.gorm.Error
	}
	// Also reached by a panic, and after a commit, where it does nothing. Should
	// it fail, the connection is lost, and the transaction with it.
	defer tx.gorm.Rollback()
	if err := fn(context.WithValue(ctx, txKey{db}, tx)); err != nil {
		return nil, err
	}
	if tx.failure != nil {
		return nil, tx.failure
	}
	began := time.Now()
	err := tx.gorm.Commit().Error
	traced(tx.gorm, began, "COMMIT", 0, err)
	return tx.hooks, err
}

// AfterCommit runs fn after the outermost transaction has committed, in the
// goroutine that committed it, and not at all if it does not. Without a
// transaction it runs fn at once.
func (db *DB) AfterCommit(ctx context.Context, fn func()) {
	if tx := db.transaction(ctx); tx != nil {
		tx.hooks = append(tx.hooks, fn)
		return
	}
	fn()
}

// pause waits a while that grows with the attempts and differs between those
// who wait, so that they do not meet again.
func pause(ctx context.Context, attempt int) bool {
	timer := time.NewTimer(time.Duration(attempt)*5*time.Millisecond + rand.N(10*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
