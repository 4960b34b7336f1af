package validation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Totals tells what is known of quotas where nothing is forgotten.
type Totals interface {
	// Totals gives what was spent from each quota, in order.
	Totals(ctx context.Context, quotas []models.QuotaKey) ([]int64, error)
	// CompleteUntil gives the instant up to which that is all; ok is false
	// where nobody knows.
	CompleteUntil(ctx context.Context) (until time.Time, ok bool, err error)
}

// Seeds raises counters of the limit store; of this node's own one where local
// is true.
type Seeds interface {
	Seed(ctx context.Context, group string, seeds []ratelimit.Seeding, local bool) error
}

// Quotas rebuilds the counters of quotas that the limit store does not hold:
// those of a period that has begun, and those that it lost. It seeds them from
// the totals in the database, and raises them when what was answered before is
// among these. It is safe for concurrent use.
type Quotas struct {
	totals Totals
	seeds  Seeds
	now    func() time.Time
	report func(ctx context.Context, message string, err error)

	lost    atomic.Int64 // of those pending, counters that were lost
	mu      sync.Mutex
	pending map[pendingKey]*pendingSeed
}

type pendingKey struct {
	quota models.QuotaKey
	local bool
}

// pendingSeed is a counter that may miss what the database does not know yet.
type pendingSeed struct {
	group string
	rule  ratelimit.Rule
	since time.Time // it was seeded
	next  time.Time // it is raised again, unless all has come earlier
	lost  bool      // something was spent in its period before
}

// NewQuotas makes it. Report is told what could not be rebuilt, and is asked to
// return at once.
func NewQuotas(totals Totals, seeds Seeds, now func() time.Time, report func(ctx context.Context, message string, err error)) *Quotas {
	return &Quotas{totals: totals, seeds: seeds, now: now, report: report, pending: map[pendingKey]*pendingSeed{}}
}

// rebuild seeds the counters that a take found missing. known is false where
// the database does not say what they should hold: the take then has to do
// without, and they are raised later.
func (q *Quotas) rebuild(ctx context.Context, t *take, unseeded error, local bool) (known bool, err error) {
	var missing *ratelimit.UnseededError
	if !errors.As(unseeded, &missing) {
		return false, unseeded
	}
	keys := make([]models.QuotaKey, len(missing.Rules))
	seeds := make([]ratelimit.Seeding, len(missing.Rules))
	for i, n := range missing.Rules {
		rule := t.request.Rules[n]
		keys[i] = quotaKey(&rule, t.rules[n].Period, missing.Starts[i])
		seeds[i] = ratelimit.Seeding{Rule: rule, Start: missing.Starts[i]}
	}
	q.remember(t.request.Group, keys, seeds, local)
	totals, err := q.totals.Totals(ctx, keys)
	if err != nil {
		q.report(ctx, "quotas are counted without knowing what was spent before: the database does not tell", err)
		return false, ctx.Err()
	}
	for i, total := range totals {
		if seeds[i].Used = min(total, models.MaxFixedLimit); total > 0 {
			q.markLost(pendingKey{keys[i], local})
		}
	}
	return true, q.seeds.Seed(ctx, t.request.Group, seeds, local)
}

func quotaKey(rule *ratelimit.Rule, period models.PeriodKind, start time.Time) models.QuotaKey {
	return models.QuotaKey{Subject: rule.Scope + ":" + rule.ID, Rule: rule.Name, Period: period, Start: start.UTC()}
}

func (q *Quotas) remember(group string, keys []models.QuotaKey, seeds []ratelimit.Seeding, local bool) {
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range keys {
		q.put(pendingKey{keys[i], local}, &pendingSeed{group: group, rule: seeds[i].Rule, since: now, next: now.Add(raiseFirst)})
	}
}

// put sets or, with nil, takes away what is pending of a counter. It needs the
// lock.
func (q *Quotas) put(key pendingKey, p *pendingSeed) {
	if old := q.pending[key]; old != nil && old.lost {
		q.lost.Add(-1)
	}
	if p == nil {
		delete(q.pending, key)
		return
	}
	q.pending[key] = p
}

func (q *Quotas) markLost(key pendingKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := q.pending[key]; p != nil && !p.lost {
		p.lost = true
		q.lost.Add(1)
	}
}

// uncertain tells whether a take was decided by a counter that was lost, and may
// still miss what the database did not know yet when it was rebuilt.
func (q *Quotas) uncertain(t *take, local bool) bool {
	if q == nil || q.lost.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range t.decision.Results {
		r := &t.decision.Results[i]
		if i >= len(t.rules) || !t.rules[i].Quota() {
			continue
		}
		p := q.pending[pendingKey{quotaKey(r.Rule, t.rules[i].Period, r.Start), local}]
		if p != nil && p.lost {
			return true
		}
	}
	return false
}

// raiseEvery is how often counters are raised that may miss something.
const raiseEvery = time.Second

// Run raises counters until ctx ends.
func (q *Quotas) Run(ctx context.Context) error {
	tick := time.NewTicker(raiseEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := q.Raise(ctx); err != nil && ctx.Err() == nil {
			q.report(ctx, "quotas that were rebuilt could not be raised yet", err)
		}
	}
}

// Where a stream does not come to its end, such as that of a node whose volume is
// lost, counters are raised ever more rarely, and no longer than raiseFor.
const (
	raiseFirst = 5 * time.Second
	raiseFor   = 10 * time.Minute
)

// Raise raises the counters that may miss something: once when everything
// answered before they were seeded is in the totals, and is done with them then.
func (q *Quotas) Raise(ctx context.Context) error {
	if q.idle() {
		return nil
	}
	until, ok, err := q.totals.CompleteUntil(ctx) // before the totals are read
	if err != nil {
		return fmt.Errorf("raise quotas: %w", err)
	}
	if !ok {
		until = time.Time{}
	}
	order, list := q.due(until)
	if len(order) == 0 {
		return nil
	}
	keys := make([]models.QuotaKey, len(order))
	for i, key := range order {
		keys[i] = key.quota
	}
	totals, err := q.totals.Totals(ctx, keys)
	if err != nil {
		return fmt.Errorf("raise quotas: %w", err)
	}
	for i, key := range order {
		p := list[i]
		seed := ratelimit.Seeding{Rule: p.rule, Start: key.quota.Start, Used: min(totals[i], models.MaxFixedLimit)}
		if err := q.seeds.Seed(ctx, p.group, []ratelimit.Seeding{seed}, key.local); err != nil {
			return fmt.Errorf("raise quotas: %w", err)
		}
		q.raised(key, p, until)
	}
	return nil
}

func (q *Quotas) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending) == 0
}

// due gives the counters to raise: those of which everything has come, and those
// that have waited long.
func (q *Quotas) due(until time.Time) (order []pendingKey, list []*pendingSeed) {
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for key, p := range q.pending {
		if until.After(p.since) || !now.Before(p.next) {
			order, list = append(order, key), append(list, p)
		}
	}
	return order, list
}

// raised forgets a counter that misses nothing any more, or settles when it is
// raised again; unless it was seeded again meanwhile.
func (q *Quotas) raised(key pendingKey, p *pendingSeed, until time.Time) {
	waited := q.now().Sub(p.since)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.pending[key] != p:
	case until.After(p.since), waited >= raiseFor:
		q.put(key, nil)
	default:
		p.next = p.since.Add(2 * max(waited, raiseFirst))
	}
}
