package limiters

import (
	"context"
	"slices"
	"time"

	"github.com/viva/rate-limiter/bench/workload"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// viva is ours, over any of its stores.
type viva struct {
	store ratelimit.Store
	rules []ratelimit.Rule
}

func newViva(rules int) func(Config) (Store, error) {
	return func(c Config) (Store, error) {
		options := []ratelimit.Option{ratelimit.WithMaxEntries(2 * rules * c.Keys)}
		if c.Clock != nil {
			options = append(options, ratelimit.WithClock(c.Clock))
		}
		return &viva{ratelimit.NewMemory(options...), vivaRules(rules, c)}, nil
	}
}

// newCoarse is ours with one rule and the clock that moves every millisecond.
func newCoarse(c Config) (Store, error) {
	if c.Clock != nil {
		return newViva(1)(c)
	}
	clock := ratelimit.NewCoarseClock()
	c.Clock = clock.Now
	store, err := newViva(1)(c)
	return stopping{store, clock}, err
}

// stopping is a store with a clock of its own.
type stopping struct {
	Store
	clock *ratelimit.CoarseClock
}

func (s stopping) Close() error {
	s.clock.Stop()
	return s.Store.Close()
}

// vivaRules returns rules with one and the same limit, in windows that are the longer the further down. They are
// prepared once, as the peers are configured once.
func vivaRules(n int, c Config) []ratelimit.Rule {
	rules := []ratelimit.Rule{
		{Scope: "key", ID: "any", Name: "first", Limit: c.Limit, Window: c.Window},
		{Scope: "key", ID: "any", Name: "second", Limit: c.Limit, Window: 2 * c.Window},
		{Scope: "key", ID: "any", Name: "third", Limit: c.Limit, Window: 24 * c.Window},
	}
	for i := range rules {
		rules[i] = rules[i].Prepared()
	}
	return rules[:n]
}

// Taker returns one with a request and a decision of its own, to be used again and again.
func (v *viva) Taker() workload.Taker {
	return &vivaTaker{
		store: v.store,
		req:   ratelimit.Request{Cost: 1, Rules: slices.Clone(v.rules)},
		dec:   ratelimit.Decision{Results: make([]ratelimit.Result, 0, 4)},
	}
}

func (v *viva) Close() error { return nil }

type vivaTaker struct {
	store ratelimit.Store
	req   ratelimit.Request
	dec   ratelimit.Decision
	_     [128]byte // two takers in one cache line would slow each other down
}

func (t *vivaTaker) Take(key string) (bool, error) {
	t.req.Group = key
	err := t.store.Take(context.Background(), &t.req, &t.dec)
	return t.dec.Allowed, err
}

// JumpingClock returns a clock of the ordinary time, and a function that sets it forward.
func JumpingClock() (clock func() time.Time, jump func(time.Duration)) {
	var ahead time.Duration
	return func() time.Time { return time.Now().Add(ahead) }, func(by time.Duration) { ahead += by }
}
