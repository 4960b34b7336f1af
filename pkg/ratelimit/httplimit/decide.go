package httplimit

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// A take is what one request needs on its way, reused by later ones.
type take struct {
	request  ratelimit.Request
	decision ratelimit.Decision
	outcome  Outcome
	rules    []ratelimit.Rule
}

var taken = sync.Pool{New: func() any { return new(take) }}

// release gives back memory, and keeps alive nothing of the request.
func (t *take) release() {
	clear(t.rules)
	clear(t.decision.Results)
	t.request = ratelimit.Request{}
	t.decision = ratelimit.Decision{Results: t.decision.Results[:0]}
	t.outcome = Outcome{body: t.outcome.body[:0]}
	taken.Put(t)
}

// decide fills in the outcome of the request.
func (l *Limiter) decide(r *http.Request, t *take) {
	o := &t.outcome
	if err := l.prepare(r, t); err != nil {
		o.undecided(r, err)
		return
	}
	if len(t.rules) == 0 {
		t.decision.Allowed, t.decision.Cost = true, t.request.Cost
	} else if err := l.store.Take(r.Context(), &t.request, &t.decision); err != nil {
		o.undecided(r, fmt.Errorf("take: %w", err))
		// A refused request is a mistake in it, and no failure of the store:
		// otherwise a cost out of bounds would be a way in. Nor does a done
		// context let anything through: hanging up would be another.
		switch {
		case errors.Is(err, ratelimit.ErrInvalid) || r.Context().Err() != nil:
		case l.config.FailOpen:
			o.admit()
		default:
			o.refuse(http.StatusServiceUnavailable, "store_unavailable")
		}
		return
	}
	o.Decision = &t.decision
	switch {
	case t.decision.Allowed:
		o.admit()
	case t.decision.RetryAfter() == ratelimit.Never:
		o.refuse(http.StatusForbidden, "cost_exceeds_limit")
	default:
		o.refuse(http.StatusTooManyRequests, "rate_limited")
	}
}

// prepare asks the configured functions for what the store is to decide.
func (l *Limiter) prepare(r *http.Request, t *take) error {
	key, err := l.config.Key(r)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if key == "" {
		return fmt.Errorf("key: %w", ErrUnidentified)
	}
	t.outcome.Key = key
	rules := l.config.Rules
	if l.config.RulesFor != nil {
		if rules, err = l.config.RulesFor(r, key); err != nil {
			return fmt.Errorf("rules: %w", err)
		}
	}
	cost := int64(1)
	if l.config.Cost != nil {
		if cost, err = l.config.Cost(r); err != nil {
			return fmt.Errorf("cost: %w", err)
		}
	}
	t.rules = fill(t.rules[:0], rules, key)
	t.request = ratelimit.Request{Group: key, Cost: cost, Rules: t.rules}
	return nil
}

// fill appends the rules to dst, with the key where one has no ID.
func fill(dst, rules []ratelimit.Rule, key string) []ratelimit.Rule {
	dst = append(dst, rules...)
	for i := range dst {
		if dst[i].ID == "" {
			dst[i].ID = key
		}
	}
	return dst
}
