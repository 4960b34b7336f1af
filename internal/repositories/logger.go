package repositories

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"modernc.org/sqlite"

	"github.com/viva/rate-limiter/internal/logging"
)

// statementLog is GORM's logger: it writes slow statements, and those that fail
// in a way that callers do not cause, with placeholders in place of values. The
// text of the error is left to whoever handles it: it may quote values.
type statementLog struct {
	log     *zap.Logger
	slow    time.Duration
	observe func(ctx context.Context, began time.Time, statement func() (sql string, rows int64), failure string)
}

// ParamsFilter keeps the values of parameters out of every statement logged.
func (l statementLog) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}

// Trace is told of every statement.
func (l statementLog) Trace(ctx context.Context, began time.Time, statement func() (sql string, rows int64), err error) {
	took := time.Since(began)
	failed := err != nil && fault(err)
	if l.observe != nil {
		var why string
		if failed {
			why = reason(err)
		}
		l.observe(ctx, began, statement, why)
	}
	if !failed && took < l.slow {
		return
	}
	sql, rows := statement()
	fields := []zap.Field{zap.String("sql", sql), zap.Int64("rows", rows), zap.Duration("took", took), logging.In(ctx)}
	if failed {
		l.log.Error("statement failed", append(fields, zap.String("reason", reason(err)))...)
		return
	}
	l.log.Warn("slow statement", fields...)
}

// fault tells whether an error is one of ours or the database's.
func fault(err error) bool {
	if errors.Is(err, gorm.ErrRecordNotFound) || errors.Is(err, context.Canceled) || serialization(err) {
		return false
	}
	kind := classify(err)
	return kind == failUnknown || kind == failUnavailable
}

func reason(err error) string {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	switch {
	case errors.As(err, &pg):
		return "SQLSTATE " + pg.Code
	case errors.As(err, &lite):
		return fmt.Sprintf("SQLite code %d", lite.Code())
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	default:
		return fmt.Sprintf("%T", err)
	}
}

// LogMode returns the same logger: its level is that of the log it writes to.
func (l statementLog) LogMode(logger.LogLevel) logger.Interface { return l }

// Info, Warn and Error write what GORM itself has to say. Its arguments may
// hold values and are left out.
func (l statementLog) Info(ctx context.Context, message string, _ ...any) {
	l.log.Info("gorm", zap.String("message", message), logging.In(ctx))
}

// Warn is described at Info.
func (l statementLog) Warn(ctx context.Context, message string, _ ...any) {
	l.log.Warn("gorm", zap.String("message", message), logging.In(ctx))
}

// Error is described at Info.
func (l statementLog) Error(ctx context.Context, message string, _ ...any) {
	l.log.Error("gorm", zap.String("message", message), logging.In(ctx))
}
