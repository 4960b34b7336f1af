package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

const (
	historyCallers = 8
	historySteps   = 6 // of each caller: the search for an order grows faster than a history does
)

// Linearizable tests that stores answer concurrent calls as if they came one after another: for each of a number of
// histories there is a serial order, which no call leaves the time between its begin and end for, in which a Model
// gives the very same answers. The stores newStores makes share their counters, as processes share a server's, or are
// one; they are empty, or in a place of their own, and tell the time by now.
func Linearizable(t *testing.T, histories int, newStores func(t *testing.T, now func() time.Time) []ratelimit.Store) {
	for name, hurry := range map[string]time.Duration{"at one instant": 0, "while time passes": 43 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(histories) {
				clock := NewClock()
				stores := newStores(t, func() time.Time { return hurried(clock, hurry) })
				require.NoError(t, History(seed, hurry > 0, stores...))
			}
		})
	}
}

// hurried reads a clock that goes on by each reading. It lets others in just where a store that does not keep its calls
// apart would mix them up, even on a machine with one processor.
func hurried(clock *Clock, by time.Duration) time.Time {
	clock.Advance(by)
	defer runtime.Gosched()
	return clock.Now()
}

// History makes random calls, drawn from seed, to the stores from several goroutines at once, and looks for a serial
// order that explains the answers. Its error says that there is none, and what was answered. The stores are as for
// [Linearizable]. Timed says that their time passes: then nothing is refunded, as a refund does not tell its instant.
// A seed does not either, but all of a history is in one period of its calendars.
func History(seed uint64, timed bool, stores ...ratelimit.Store) error {
	return play(seed, timed, historyCallers, stores...)
}

func play(seed uint64, timed bool, callers int, stores ...ratelimit.Store) error {
	rec, err := newRecord(seed, timed, stores[0])
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	begin := make(chan struct{})
	for n := range callers {
		c := &caller{
			Rand: rand.New(rand.NewPCG(seed, uint64(n))), record: rec, number: n, store: stores[n%len(stores)],
		}
		all.Go(func() {
			<-begin
			for range historySteps {
				c.call()
				runtime.Gosched() // whoever waits for a lock of the store would wait for all of them
			}
		})
	}
	close(begin)
	all.Wait()
	return rec.check()
}

// A record is what several callers did at once.
type record struct {
	group string
	rules []ratelimit.Rule // two of keys, two that they share, and in some histories two quotas
	timed bool
	begun time.Time    // by the store's clock
	now   atomic.Int64 // counts begins and ends, in their order

	mu       sync.Mutex
	calls    []*call
	receipts []ratelimit.Receipt
}

// A call is one operation with its answer. Of req, receipt, seeds and reset one is set.
type call struct {
	caller, begin, end int
	req                *ratelimit.Request
	receipt            *ratelimit.Receipt
	units              int64
	seeds              []ratelimit.Seeding
	reset              []ratelimit.Rule
	answer             answered
}

// newRecord draws the rules: small limits, so that callers meet at them.
func newRecord(seed uint64, timed bool, store ratelimit.Store) (*record, error) {
	r := rand.New(rand.NewPCG(seed, 1<<32))
	rec := &record{group: fmt.Sprint("history ", seed), timed: timed}
	var look ratelimit.Decision
	if err := store.Take(context.Background(), &ratelimit.Request{Group: rec.group}, &look); err != nil {
		return nil, err
	}
	rec.begun = look.At
	for i, id := range []string{"k1", "k2", "o1", "o2"} {
		rule := ratelimit.Rule{
			Scope: id[:1], ID: id, Name: fmt.Sprint("rule ", i), Shadow: r.IntN(6) == 0,
			Algorithm: []ratelimit.Algorithm{
				ratelimit.SlidingWindow, ratelimit.FixedWindow, ratelimit.GCRA, ratelimit.SlidingLog,
			}[(int(seed)+i)%4],
			Limit: 3 + r.Int64N(12), Window: []time.Duration{ratelimit.MinWindow, time.Second}[r.IntN(2)],
		}
		if rule.Algorithm == ratelimit.GCRA {
			rule.Burst = 3 + r.Int64N(9)
		}
		rec.rules = append(rec.rules, rule)
	}
	if seed%3 == 0 {
		for i := range 2 {
			rec.rules = append(rec.rules, ratelimit.Rule{
				Scope: "q", ID: "q", Name: fmt.Sprint("quota ", i), Limit: 3 + r.Int64N(12), Durable: true, Shadow: r.IntN(6) == 0,
				Algorithm: ratelimit.FixedWindow, Calendar: years(rec.begun),
			})
		}
	}
	return rec, nil
}

// years is a calendar of about a year, whose middle is now: no test lasts until its end.
func years(now time.Time) *ratelimit.Calendar {
	const year = 360 * 24 * time.Hour
	start := now.Truncate(time.Second).Add(-year / 2)
	return &ratelimit.Calendar{
		Name:     "year",
		Previous: ratelimit.Period{Start: start.Add(-year), End: start},
		Current:  ratelimit.Period{Start: start, End: start.Add(year)},
		Next:     ratelimit.Period{Start: start.Add(year), End: start.Add(2 * year)},
	}
}

type caller struct {
	*rand.Rand
	*record
	number int
	store  ratelimit.Store
}

// call draws an operation, does it, and notes it.
func (c *caller) call() {
	done := &call{caller: c.number}
	switch n := c.IntN(20); {
	case n == 0:
		done.reset = c.some(c.Rand)
	case n < 5 && !c.timed:
		if done.receipt = c.pick(); done.receipt != nil {
			done.units = 1 + c.Int64N(done.receipt.Cost)
			if c.IntN(3) == 0 {
				done.units = -1 - c.Int64N(4)
			}
			break
		}
		done.req = c.draw()
	case n >= 15 && len(c.rules) > 4:
		done.seeds = c.known(c.Rand)
	default:
		done.req = c.draw()
	}
	done.begin = int(c.now.Add(1))
	c.do(done)
	done.end = int(c.now.Add(1))

	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, done)
	if dec := &done.answer.dec; dec.Allowed && dec.Cost > 0 {
		c.receipts = append(c.receipts, dec.Receipt(c.group))
	}
}

func (c *caller) do(done *call) {
	ctx := context.Background()
	switch a := &done.answer; {
	case done.reset != nil:
		a.err = c.store.Reset(ctx, c.group, done.reset)
	case done.receipt != nil:
		a.err = c.store.Refund(ctx, *done.receipt, done.units)
	case done.seeds != nil:
		a.err = c.store.Seed(ctx, c.group, done.seeds)
	default:
		a.err = c.store.Take(ctx, done.req, &a.dec)
	}
}

func (c *caller) draw() *ratelimit.Request {
	req := &ratelimit.Request{Group: c.group, Cost: c.Int64N(4), Rules: c.some(c.Rand)}
	if c.IntN(6) == 0 { // the same content under the same ID
		id := c.Uint64N(3)
		content := rand.New(rand.NewPCG(id, 2<<32))
		req.ID, req.Cost, req.Rules = fmt.Sprint("id ", id), 1+content.Int64N(3), c.some(content)
	}
	return req
}

// known is what one or both of the quotas are raised to.
func (r *record) known(draw *rand.Rand) []ratelimit.Seeding {
	var seeds []ratelimit.Seeding
	for _, i := range draw.Perm(2)[:1+draw.IntN(2)] {
		rule := r.rules[4+i]
		seeds = append(seeds, seeding(rule, rule.Calendar.Current.Start, draw.Int64N(rule.Limit)))
	}
	return seeds
}

// some is a key's rule, an owner's, or one of each or more.
func (r *record) some(draw *rand.Rand) []ratelimit.Rule {
	var rules []ratelimit.Rule
	for _, i := range draw.Perm(len(r.rules))[:1+draw.IntN(len(r.rules))] {
		rules = append(rules, r.rules[i])
	}
	return rules
}

// pick is a receipt that is good or was, of any caller's.
func (r *record) pick() *ratelimit.Receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.receipts) == 0 {
		return nil
	}
	receipt := r.receipts[max(0, len(r.receipts)-3)]
	return &receipt
}

// failures are errors that are no answers.
func (r *record) failures() error {
	var all []error
	for _, c := range r.calls {
		if !errors.Is(c.answer.err, ratelimit.ErrRefunded) && !errors.Is(c.answer.err, ratelimit.ErrUnseeded) {
			all = append(all, c.answer.err)
		}
	}
	return errors.Join(all...)
}
