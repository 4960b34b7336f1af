package usage

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// ActivityStore keeps when keys were last used.
type ActivityStore interface {
	Touch(ctx context.Context, list []models.KeyActivity) error
}

// Activity gathers when keys were last used and writes it once a minute, apart
// from what usage is made of: a minute of it may be lost with the process.
type Activity struct {
	store   ActivityStore
	pending map[models.KeyID]time.Time
	written time.Time
}

// NewActivity makes an Activity. One goroutine uses it.
func NewActivity(store ActivityStore) *Activity {
	return &Activity{store: store, pending: map[models.KeyID]time.Time{}}
}

const activityEvery = time.Minute

func (a *Activity) note(used map[models.KeyID]time.Time) {
	for key, at := range used {
		if at.After(a.pending[key]) {
			a.pending[key] = at
		}
	}
}

// flush writes what was gathered if the last time is a minute ago.
func (a *Activity) flush(ctx context.Context, now time.Time) error {
	if now.Sub(a.written) < activityEvery || len(a.pending) == 0 {
		return nil
	}
	a.written = now // also where it fails: then it is tried again in a minute
	return a.Flush(ctx, now)
}

// Flush writes what was gathered.
func (a *Activity) Flush(ctx context.Context, now time.Time) error {
	list := make([]models.KeyActivity, 0, len(a.pending))
	for key, at := range a.pending {
		list = append(list, models.KeyActivity{APIKeyID: key, LastUsedAt: at})
	}
	if err := a.store.Touch(ctx, list); err != nil {
		return fmt.Errorf("activity of keys: %w", err)
	}
	clear(a.pending)
	return nil
}
