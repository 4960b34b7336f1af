package storetest

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// unseeded is the error of a take for which some counters are not held.
func unseeded(views []*looked) error {
	var missing ratelimit.UnseededError
	for i, v := range views {
		if v.rule.Durable && !v.held() {
			missing.Rules = append(missing.Rules, i)
			missing.Starts = append(missing.Starts, v.instant(v.start()))
		}
	}
	if len(missing.Rules) == 0 {
		return nil
	}
	return &missing
}

// held tells whether a calendar's counter has noted anything, if only that
// nothing was used, in the period in which it counts now.
func (l *looked) held() bool {
	v := l.view.(*tallyView)
	return v.find(v.place) >= 0
}

// Seed is that of ratelimit.Store.
func (m *Model) Seed(ctx context.Context, group string, seeds []ratelimit.Seeding) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := ratelimit.ValidateSeed(group, seeds); err != nil {
		return err
	}
	now := m.now().UnixMicro()
	for i := range seeds {
		rule := &seeds[i].Rule
		if _, _, ok := span(rule, now/tick(rule)); !ok {
			continue // of another time
		}
		v := look(m.counterOf(group, rule), rule, now)
		used := v.used(v.tick())
		if !v.instant(v.start()).Equal(seeds[i].Start) || v.held() && used >= seeds[i].Used {
			continue
		}
		v.spend(seeds[i].Used - used)
		m.counters[nameOf(group, rule)] = v.counter
	}
	return nil
}

// Lose forgets everything.
func (m *Model) Lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.counters)
	clear(m.kept)
	clear(m.refunded)
}

// Losing returns a store that loses everything when a Trace wants it to, as a
// server does that fails: it goes on with another that newStore makes, which is
// empty or in a place of its own.
func Losing(newStore func() ratelimit.Store) ratelimit.Store { return &losing{newStore(), newStore} }

type losing struct {
	ratelimit.Store
	newStore func() ratelimit.Store
}

func (l *losing) Lose() { l.Store = l.newStore() }

// loser is a store that can lose everything.
type loser interface{ Lose() }

// seeding says that so much was used in the rule's period that starts then.
func seeding(rule ratelimit.Rule, start time.Time, used int64) ratelimit.Seeding {
	return ratelimit.Seeding{Rule: rule, Start: start, Used: used}
}
