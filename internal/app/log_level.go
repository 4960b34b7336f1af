package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/viva/rate-limiter/internal/controllers"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// The shortest and the longest that a level may last.
const (
	leastLogFor = time.Second
	mostLogFor  = 24 * time.Hour
)

// logLevel is how much the process writes to its log. It can be changed while it
// runs.
type logLevel struct {
	zap.AtomicLevel
	configured zapcore.Level
	log        *zap.Logger
	now        func() time.Time

	mu    sync.Mutex
	until *time.Time
	back  *time.Timer // nil where it does not fall back
}

// State tells how much is written.
func (l *logLevel) State() controllers.LogState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return controllers.LogState{Node: nodeName(), Level: l.Level().String(), Configured: l.configured.String(), Until: l.until}
}

// set changes the level: for a while, unless that is 0.
func (l *logLevel) set(level zapcore.Level, lasts time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.back != nil {
		l.back.Stop()
	}
	l.back, l.until = nil, nil
	if lasts > 0 {
		end := l.now().Add(lasts)
		l.until = &end
		l.back = time.AfterFunc(lasts, func() { l.fallBack(&end) })
	}
	l.SetLevel(level)
}

// fallBack ends what was to last until then, unless it was set again meanwhile.
func (l *logLevel) fallBack(until *time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == until {
		l.back, l.until = nil, nil
		l.SetLevel(l.configured)
	}
}

// toggle turns debug on, or back to the configured level.
func (l *logLevel) toggle() {
	level := zapcore.DebugLevel
	if l.Level() == level {
		level = l.configured
	}
	l.set(level, 0)
	// At the level that is always written.
	l.log.Error("the log level was changed by a signal", zap.Stringer("level", level))
}

// close ends the wait for the configured level.
func (l *logLevel) close() error {
	l.set(l.Level(), 0)
	return nil
}

// logLevelChanges lets callers of the API change the level, on the record.
type logLevelChanges struct {
	*logLevel
	changes *changes
}

// Set changes the level of this process, once that is recorded.
func (c logLevelChanges) Set(ctx context.Context, name string, lasts time.Duration) (controllers.LogState, error) {
	levels := []string{"debug", "info", "warn", "error"}
	var v apierror.Validator
	v.Check(slices.Contains(levels, name), "level", "must be debug, info, warn or error")
	v.Check(lasts == 0 || lasts >= leastLogFor && lasts <= mostLogFor, "for", "must be a duration from 1s to 24h")
	if err := v.Err(); err != nil {
		return controllers.LogState{}, err
	}
	level, err := zapcore.ParseLevel(name)
	if err != nil {
		return controllers.LogState{}, err
	}
	before := c.State()
	after := map[string]any{"level": name}
	if lasts > 0 {
		after["for"] = lasts.String()
	}
	err = c.changes.InTx(ctx, func(ctx context.Context) error {
		return c.changes.Record(ctx, models.Change{
			Action: "log_level.set", ObjectKind: "process", ObjectID: before.Node, Before: map[string]any{"level": before.Level}, After: after,
		})
	})
	if err != nil {
		return controllers.LogState{}, err
	}
	c.set(level, lasts)
	return c.State(), nil
}
