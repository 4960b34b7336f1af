package storetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Model is a ratelimit.Store that is right by being plain. What counts is
// counted from its definition, a wait is looked for among the ticks to come, and
// everything is kept for ever, under one lock. It knows nothing of how the
// stores do it, and is what Trace compares them with; it is no store to use.
type Model struct {
	now func() time.Time

	mu       sync.Mutex
	nonce    uint64
	counters map[counterName]counter
	kept     map[requestName]answer
	refunded map[receiptName]bool
}

// NewModel returns an empty Model that tells the time by now.
func NewModel(now func() time.Time) *Model {
	return &Model{
		now: now, counters: map[counterName]counter{}, kept: map[requestName]answer{}, refunded: map[receiptName]bool{},
	}
}

// counterName is all that tells one counter from another.
type counterName struct {
	group, scope, id, rule string
	algorithm              ratelimit.Algorithm
	window                 time.Duration
	calendar               string
}

func nameOf(group string, r *ratelimit.Rule) counterName {
	n := counterName{group, r.Scope, r.ID, r.Name, r.Algorithm, r.Window, ""}
	if r.Calendar != nil {
		n.calendar = r.Calendar.Name
	}
	return n
}

type requestName struct{ group, id string }

type answer struct {
	at          int64 // in microseconds
	fingerprint uint64
	decision    ratelimit.Decision
}

type receiptName struct {
	group string
	at    int64
	nonce uint64
}

// Take is that of ratelimit.Store.
func (m *Model) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	decided, err := m.take(ctx, req)
	decided.Results = append(dec.Results[:0], decided.Results...)
	*dec = decided
	return err
}

func (m *Model) take(ctx context.Context, req *ratelimit.Request) (dec ratelimit.Decision, err error) {
	if err := ctx.Err(); err != nil {
		return dec, err
	}
	if err := req.Validate(); err != nil {
		return dec, err
	}
	now := m.now().UnixMicro()
	if was, ok := m.kept[requestName{req.Group, req.ID}]; ok && req.ID != "" && was.counts(now) {
		if was.fingerprint != req.Fingerprint {
			return dec, ratelimit.ErrIDConflict
		}
		was.decision.Replayed = true
		return was.decision, nil
	}
	views, err := m.views(req, now)
	if err == nil {
		err = unseeded(views)
	}
	if err != nil {
		return dec, err
	}
	m.nonce++
	dec = ratelimit.Decision{Allowed: true, At: time.UnixMicro(now), Cost: req.Cost, Nonce: m.nonce}
	for _, v := range views {
		dec.Allowed = dec.Allowed && (v.rule.Shadow || v.fits(req.Cost))
	}
	for i, v := range views {
		fits := v.fits(req.Cost)
		result := ratelimit.Result{
			Rule: v.rule, Start: v.instant(v.start()), Denied: !fits && !v.rule.Shadow, WouldDeny: !fits && v.rule.Shadow,
		}
		if !fits {
			result.RetryAfter = v.wait(req.Cost)
		}
		if fits && dec.Allowed && req.Cost > 0 {
			v.spend(req.Cost)
			m.counters[nameOf(req.Group, &req.Rules[i])] = v.counter
			v = look(v.counter, v.rule, now)
		}
		if result.Remaining = v.remaining(); result.Remaining < capacity(v.rule) {
			result.ResetAfter = v.wait(result.Remaining + 1)
		}
		dec.Results = append(dec.Results, result)
	}
	if req.ID != "" {
		m.kept[requestName{req.Group, req.ID}] = answer{now, req.Fingerprint, copied(dec)}
	}
	return dec, nil
}

func (m *Model) views(req *ratelimit.Request, now int64) ([]*looked, error) {
	var views []*looked
	for i := range req.Rules {
		rule := &req.Rules[i]
		if _, _, ok := span(rule, now/tick(rule)); !ok {
			return nil, &ratelimit.InvalidError{Rule: i, Field: "Calendar", Reason: "must reach the store's clock"}
		}
		views = append(views, look(m.counterOf(req.Group, rule), rule, now))
	}
	return views, nil
}

func (m *Model) counterOf(group string, rule *ratelimit.Rule) counter {
	if c, ok := m.counters[nameOf(group, rule)]; ok {
		return c
	}
	return newCounter(rule)
}

// counts tells whether a decision is given again, for the time of Replay after
// it, and as long before it on a clock that went back.
func (a *answer) counts(now int64) bool {
	const replay = int64(ratelimit.Replay / time.Microsecond)
	return now-a.at < replay && a.at-now <= replay
}

// copied no longer shares rules and results with the caller.
func copied(dec ratelimit.Decision) ratelimit.Decision {
	dec.Results = slices.Clone(dec.Results)
	for i := range dec.Results {
		rule := *dec.Results[i].Rule
		dec.Results[i].Rule = &rule
	}
	return dec
}

// Refund is that of ratelimit.Store.
func (m *Model) Refund(ctx context.Context, r ratelimit.Receipt, units int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Validate(units); err != nil {
		return err
	}
	now := m.now().UnixMicro()
	var counting []func()
	for i := range r.Spent {
		spent := &r.Spent[i]
		start := spent.Start.UnixMicro() / tick(&spent.Rule)
		if v := look(m.counterOf(r.Group, &spent.Rule), &spent.Rule, now); v.counts(start, r.At.UnixMicro()/tick(&spent.Rule)) {
			counting = append(counting, func() { v.settle(start, units) })
		}
	}
	if len(counting) == 0 {
		return nil
	}
	used := receiptName{r.Group, r.At.UnixMicro(), r.Nonce}
	if m.refunded[used] {
		return ratelimit.ErrRefunded
	}
	m.refunded[used] = true
	for _, settle := range counting {
		settle()
	}
	return nil
}

// Reset is that of ratelimit.Store.
func (m *Model) Reset(ctx context.Context, group string, rules []ratelimit.Rule) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := (&ratelimit.Request{Group: group, Rules: rules}).Validate(); err != nil {
		return err
	}
	for i := range rules {
		delete(m.counters, nameOf(group, &rules[i]))
	}
	return nil
}
