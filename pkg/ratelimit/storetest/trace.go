package storetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Trace plays random operations, drawn from seed, on a Model and on the stores,
// which tell the time by clock and are empty or in a place of their own. Its
// error says which answer of which store differs from the Model's, at which
// step, and what happened to the counters of that answer before.
//
// Every algorithm is drawn with limits, bursts and windows of all magnitudes,
// and changes of them; time that passes, jumps and goes back, often to where an
// answer just changes; repeated requests, refunds, charges, seeds and resets.
// Stores made by Losing lose everything at times.
func Trace(seed uint64, steps int, clock *Clock, stores map[string]ratelimit.Store) error {
	tr := newTrace(seed, clock, stores)
	for range steps {
		if err := tr.play(); err != nil {
			return fmt.Errorf("seed %d, %w", seed, err)
		}
	}
	return nil
}

func answersAsTheModel(t *testing.T, s *subject) {
	for seed := range uint64(50) {
		s.clock.Set(Noon)
		require.NoError(t, Trace(seed, 40, s.clock, map[string]ratelimit.Store{"the store": s.store}))
	}
}

type trace struct {
	*rand.Rand
	clock    *Clock
	group    string
	players  []*player // the Model is the first
	scale    int64     // of most windows
	rules    []ratelimit.Rule
	last     map[string]lately   // by the rule's name
	edges    []time.Time         // of late answers
	missing  []ratelimit.Seeding // of the latest take
	receipts int                 // that each player has
	past     []event
}

type player struct {
	name     string
	store    ratelimit.Store
	dec      ratelimit.Decision
	err      error
	receipts []ratelimit.Receipt
}

// lately is what the trace knows of a counter, to draw what is near an edge.
type lately struct {
	spent     time.Time
	remaining int64
}

func newTrace(seed uint64, clock *Clock, stores map[string]ratelimit.Store) *trace {
	tr := &trace{
		Rand: rand.New(rand.NewPCG(seed, 0)), clock: clock, group: fmt.Sprint("seed ", seed), last: map[string]lately{},
		players: []*player{{name: "model", store: NewModel(clock.Now)}},
	}
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		tr.players = append(tr.players, &player{name: name, store: stores[name]})
	}
	tr.scale = tr.between(int64(ratelimit.MinWindow), int64(ratelimit.MaxSliding))
	for i := range 1 + tr.IntN(5) {
		tr.rules = append(tr.rules, tr.rule(fmt.Sprint("rule ", i)))
	}
	return tr
}

// play is one step of the trace: one operation, or a flood of them.
func (tr *trace) play() error {
	tr.pass()
	tr.change()
	if len(tr.missing) > 0 && tr.IntN(3) > 0 {
		return tr.seed(tr.missing)
	}
	switch n := tr.IntN(800); {
	case n == 0:
		return tr.flood()
	case n < 4:
		if tr.lose() {
			return nil
		}
	case n < 40:
		return tr.reset(tr.some())
	case n < 160 && tr.receipts > 0:
		return tr.refund()
	case n < 200:
		if seeds := tr.seedings(); len(seeds) > 0 {
			return tr.seed(seeds)
		}
	}
	rules := tr.some()
	req := &ratelimit.Request{Group: tr.group, Rules: rules, Cost: tr.cost(&rules[tr.IntN(len(rules))])}
	if tr.IntN(5) == 0 {
		req.ID, req.Fingerprint = fmt.Sprint("id ", tr.IntN(4)), tr.Uint64N(2)
	}
	return tr.take(req)
}

// flood makes a log as long as logs get, nearly: spendings by the hundred.
func (tr *trace) flood() error {
	r := &tr.rules[tr.IntN(len(tr.rules))]
	for i := range tr.rules {
		if tr.rules[i].Algorithm == ratelimit.SlidingLog {
			r = &tr.rules[i]
			r.Limit = max(r.Limit, 100+tr.Int64N(ratelimit.MaxLogLimit-100))
		}
	}
	times := 50 + tr.Int64N(350)
	for range times {
		if tr.IntN(3) != 0 {
			tr.clock.Advance(micros(tr.Int64N(2 * length(r) / times)))
		}
		cost := 1 + tr.Int64N(max(1, min(3, capacity(r)/times)))
		if err := tr.take(&ratelimit.Request{Group: tr.group, Rules: []ratelimit.Rule{*r}, Cost: cost}); err != nil {
			return err
		}
	}
	return nil
}

func (tr *trace) some() []ratelimit.Rule {
	var rules []ratelimit.Rule
	for _, i := range tr.Perm(len(tr.rules))[:1+tr.IntN(len(tr.rules))] {
		rules = append(rules, tr.rules[i])
	}
	return rules
}

func (tr *trace) take(req *ratelimit.Request) error {
	for _, p := range tr.players {
		p.err = p.store.Take(context.Background(), req, &p.dec)
	}
	model := tr.players[0]
	tr.past = append(tr.past, event{tr.clock.Now(), fmt.Sprintf("take %d", req.Cost), req, model.said()})
	if err := tr.compare(); err != nil {
		return err
	}
	tr.miss(req)
	dec := &model.dec
	if !dec.Replayed {
		tr.remember(dec)
		if req.ID != "" {
			tr.edges = append(tr.edges, dec.At.Add(ratelimit.Replay), dec.At.Add(-ratelimit.Replay))
		}
	}
	if dec.Allowed && dec.Cost > 0 {
		tr.receipts++
		for _, p := range tr.players {
			p.receipts = append(p.receipts, p.dec.Receipt(tr.group))
		}
	}
	return nil
}

// remember notes where the answers would change.
func (tr *trace) remember(dec *ratelimit.Decision) {
	for i := range dec.Results {
		r := &dec.Results[i]
		l := lately{tr.last[r.Rule.Name].spent, r.Remaining}
		if dec.Allowed && dec.Cost > 0 {
			l.spent = dec.At
		}
		tr.last[r.Rule.Name] = l
		for _, wait := range []time.Duration{r.RetryAfter, r.ResetAfter} {
			if 0 < wait && wait < ratelimit.MaxFixed {
				tr.edges = append(tr.edges, dec.At.Add(wait))
			}
		}
	}
	tr.edges = tr.edges[max(0, len(tr.edges)-8):]
}

func (tr *trace) refund() error {
	n := max(0, tr.receipts-1-tr.IntN(5))
	if tr.IntN(8) == 0 {
		n = tr.IntN(tr.receipts)
	}
	receipt := &tr.players[0].receipts[n]
	units := tr.one(1, receipt.Cost, 1+tr.Int64N(receipt.Cost))
	if tr.IntN(3) == 0 {
		units = -tr.one(1, receipt.Cost, tr.size(ratelimit.MaxCost), tr.extra(receipt))
	}
	for _, p := range tr.players {
		p.dec = ratelimit.Decision{}
		p.err = p.store.Refund(context.Background(), p.receipts[n], units)
	}
	rules := make([]ratelimit.Rule, len(receipt.Spent))
	for i := range rules {
		rules[i] = receipt.Spent[i].Rule
	}
	what := fmt.Sprintf("refund %d of the %d taken at %v", units, receipt.Cost, receipt.At.Sub(Noon))
	req := &ratelimit.Request{Rules: rules}
	tr.past = append(tr.past, event{tr.clock.Now(), what, req, tr.players[0].said()})
	return tr.compare()
}

func (tr *trace) reset(rules []ratelimit.Rule) error {
	for _, p := range tr.players {
		p.dec = ratelimit.Decision{}
		p.err = p.store.Reset(context.Background(), tr.group, rules)
	}
	tr.past = append(tr.past, event{tr.clock.Now(), "reset", &ratelimit.Request{Rules: rules}, tr.players[0].said()})
	return tr.compare()
}
