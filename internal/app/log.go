package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/logging"
)

// newLogger makes the process's log, JSON for machines or lines for people, and
// what changes how much is written.
func newLogger(cfg *config.Config, w io.Writer) (*zap.Logger, *logLevel, error) {
	configured, err := zapcore.ParseLevel(cfg.Log.Level)
	if err != nil {
		return nil, nil, err
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.TimeKey = "time"
	encoding.EncodeTime = func(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
		enc.AppendString(t.UTC().Format("2006-01-02T15:04:05.000000Z"))
	}
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if !cfg.JSONLogs() {
		encoding.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		encoding.EncodeLevel = zapcore.CapitalLevelEncoder
		encoding.ConsoleSeparator = "  "
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	level := &logLevel{AtomicLevel: zap.NewAtomicLevelAt(configured), configured: configured, now: clock}
	level.log = zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level.AtomicLevel))
	return level.log, level, nil
}

// redisLog takes what the Redis client has to say for itself: attempts that
// failed, which whoever needed them reports too.
type redisLog struct{ log *zap.Logger }

// Printf writes a line.
func (r redisLog) Printf(ctx context.Context, format string, v ...any) {
	r.log.Debug(fmt.Sprintf(format, v...), logging.In(ctx))
}
