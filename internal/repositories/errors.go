package repositories

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// uniques tells which field a unique index is about. SQLite names the columns
// instead of the index.
var uniques = []struct{ index, columns, field string }{
	{"keyspaces_name_key", "keyspaces.name", "name"},
	{"plans_name_key", "plans.name", "name"},
	{"plan_versions_number_key", "plan_versions.plan_id, plan_versions.number", "number"},
	{"owners_external_id_key", "owners.external_id", "external_id"},
	{"secrets_hash_key", "secrets.hash", "hash"},
	{"access_tokens_hash_key", "access_tokens.hash", "hash"},
	{"destinations_name_key", "destinations.name", "name"},
	{"alert_rules_name_key", "alert_rules.name", "name"},
}

// translate turns an error of a driver into one of the API's. What is unknown,
// or was translated before, passes. The ctx is the caller's: where it has ended,
// the database is not to blame.
func translate(ctx context.Context, err error, noun string) error {
	if _, ours := apierror.As(err); err == nil || ours {
		return err
	}
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return apierror.NotFound(noun)
	}
	switch classify(err) {
	case failUnique:
		return apierror.New(apierror.CodeAlreadyExists, "Another "+noun+" has it already",
			apierror.Field{In: apierror.Body, Name: uniqueField(err), Detail: "must be unique"}).Wrap(err)
	case failReference:
		return apierror.New(apierror.CodeConflict, "The "+noun+" is tied to something that was changed meanwhile").Wrap(err)
	case failText:
		return apierror.New(apierror.CodeValidationFailed, "Text must be valid UTF-8 without the character NUL").Wrap(err)
	case failUnavailable:
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", noun, context.Cause(ctx))
		}
		return apierror.New(apierror.CodeStoreUnavailable, "The database is out of reach or overloaded").Wrap(err)
	default:
		return err
	}
}

// failure is what an error of a driver means.
type failure int

const (
	failUnknown failure = iota
	failUnique
	failReference // a foreign key
	failText
	failUnavailable // and whether it was done is not known
)

func classify(err error) failure {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	var network net.Error
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &pg) && rerouted(pg):
		return failUnavailable
	case errors.As(err, &pg):
		return classifyPostgres(pg.Code)
	case errors.As(err, &lite):
		return classifySQLite(lite.Code())
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network), errors.As(err, &connect),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return failUnavailable
	default:
		return failUnknown
	}
}

// classifyPostgres reads a SQLSTATE (appendix A of PostgreSQL's manual).
func classifyPostgres(code string) failure {
	switch code {
	case "23505": // unique_violation
		return failUnique
	case "23503", "23001": // foreign_key_violation, restrict_violation (18 and newer)
		return failReference
	case "22021", "22P05": // character_not_in_repertoire, untranslatable_character
		return failText
	case "57014", "25006", "55P03": // query_canceled, read_only_sql_transaction, lock_not_available
		return failUnavailable
	}
	switch code[:min(2, len(code))] {
	case "08", "40", "53", "58": // connection, transaction rollback, resources, system
		return failUnavailable
	case "57": // operator intervention: shutting down, starting up
		return failUnavailable
	}
	return failUnknown
}

func classifySQLite(code int) failure {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return failUnique
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, sqlite3.SQLITE_CONSTRAINT_TRIGGER: // the latter for ON DELETE RESTRICT
		return failReference
	}
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM:
		return failUnavailable
	}
	return failUnknown
}

// uniqueField names the field that is taken; "id" where a primary key is.
func uniqueField(err error) string {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	for _, u := range uniques {
		// SQLite's message is the one place that tells the columns. They are
		// names of ours, not words of a sentence.
		if errors.As(err, &pg) && pg.ConstraintName == u.index ||
			errors.As(err, &lite) && strings.Contains(lite.Error(), ": "+u.columns+" (") {
			return u.field
		}
	}
	return "id"
}

// serialization tells whether the transaction was given up in favor of another
// one: serialization_failure or deadlock_detected, or a row that waited for the
// default partition while its own was made.
func serialization(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01" || rerouted(pg))
}

// rerouted tells whether a row was on its way to a partition that it belongs to
// no longer: a check_violation of no constraint that has a name.
func rerouted(pg *pgconn.PgError) bool { return pg.Code == "23514" && pg.ConstraintName == "" }

// Refused tells whether the database refused what it was given, and would
// refuse the same again: a constraint, text it cannot hold, a number too large.
// Of every other error, the same may succeed another time.
func Refused(err error) bool {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	switch {
	case errors.As(err, &pg):
		switch pg.Code[:min(2, len(pg.Code))] {
		case "22": // data exception
			return true
		case "23": // integrity constraint violation
			return !rerouted(pg)
		}
		return pg.Code == "54000" // program_limit_exceeded: text too long for an index
	case errors.As(err, &lite):
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
			return true
		}
	}
	return false
}
