package queue

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/models"
)

// ticking asks for periodic jobs until ctx ends. Every worker does: the first to
// claim a tick asks, and nothing is lost with any of them.
func (w *Worker) ticking(ctx context.Context) {
	asked := map[models.JobKind]time.Time{}
	started := map[models.JobKind]bool{}
	for failing := false; ; {
		err := w.ask(ctx, asked, started)
		if err != nil && ctx.Err() == nil && !failing {
			w.log.Warn("periodic jobs wait for the database; it will be tried again", zap.Error(err))
		}
		failing = err != nil
		if !pause(ctx, tickEvery) {
			return
		}
	}
}

// ask asks for what was not asked for yet, as far as this process knows.
func (w *Worker) ask(ctx context.Context, asked map[models.JobKind]time.Time, started map[models.JobKind]bool) error {
	for i := range w.Kinds {
		k := &w.Kinds[i]
		if k.AtStart && !started[k.Name] {
			if err := w.Source.Touch(ctx, k.Name, "", 0); err != nil {
				return err
			}
			started[k.Name] = true
		}
		if k.Every == 0 {
			continue
		}
		tick := w.Now().UTC().Add(-k.After).Truncate(k.Every)
		if tick.Equal(asked[k.Name]) {
			continue
		}
		if _, err := w.Source.Tick(ctx, k.Name, tick, w.Node); err != nil {
			return err
		}
		asked[k.Name] = tick
	}
	return nil
}
