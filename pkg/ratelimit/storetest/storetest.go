// Package storetest is the contract that every ratelimit.Store keeps: a test of
// a store calls Run, plays traces of random operations against the Model with
// Trace, and has concurrent histories searched for a serial order with
// Linearizable. Floor F0; besides the standard library it imports package
// ratelimit, testify, rapid and porcupine.
package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Clock is a clock that stands still until told otherwise.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Noon is where a Clock starts: the start of every window that divides an hour.
var Noon = time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)

// NewClock returns a clock at Noon.
func NewClock() *Clock { return &Clock{now: Noon} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock by d, which may be negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Set moves the clock to t.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// Run tests the stores that newStore makes: each empty, or in a place of its
// own, and telling the time by the clock given.
func Run(t *testing.T, newStore func(t *testing.T, clock *Clock) ratelimit.Store) {
	for _, c := range contract {
		t.Run(c.name, func(t *testing.T) {
			clock := NewClock()
			c.test(t, &subject{t, newStore(t, clock), clock, "group"})
		})
	}
}

var contract = []struct {
	name string
	test func(*testing.T, *subject)
}{
	{"admits exactly the limit", admitsExactlyTheLimit},
	{"weighs the previous window", weighsThePreviousWindow},
	{"fixed window counts anew", fixedWindowCountsAnew},
	{"all rules or none", allRulesOrNone},
	{"cost above the limit is never admitted", costAboveTheLimit},
	{"cost zero looks without spending", costZero},
	{"no rules admit", noRules},
	{"largest numbers are exact", largestNumbers},
	{"shadow rules never refuse", shadowNeverRefuses},
	{"shadow rules spend only what is admitted", shadowSpends},
	{"tightest rule", tightest},
	{"a changed limit keeps the count", changedLimit},
	{"identity of a counter", identity},
	{"any bytes in names", anyBytes},
	{"reset forgets", resetForgets},
	{"retry-after and reset-after are exact", waitsAreExact},
	{"a refusal spends nothing", refusalSpendsNothing},
	{"random traces are answered as by the model", answersAsTheModel},

	{"gcra admits the burst at once", gcraBurstAtOnce},
	{"gcra drains steadily", gcraDrains},
	{"gcra rounds nothing", gcraDriftFree},
	{"gcra admits at most burst and rate", gcraAdmitsAtMostBurstAndRate},
	{"gcra keeps its level when rules change", gcraChanges},
	{"gcra is not written by looks and refusals", gcraLooksWriteNothing},
	{"gcra with the clock far behind", gcraClockFarBehind},
	{"gcra waits end where time is counted to", gcraFarthestWait},
	{"gcra refunds within a busy period", gcraRefund},
	{"gcra is not drained by a refund", gcraRefundDrainsNothing},
	{"gcra refunded to nothing is as new", gcraEmptyIsAsNew},
	{"gcra refunds to the last tick", gcraRefundToTheLast},
	{"gcra refunds while a full bucket would drain", gcraRefundWhileItCanCount},
	{"gcra refunds once, however long it is busy", gcraRefundOnce},

	{"log forgets each spending by itself", logForgetsEachSpending},
	{"log is exact in every trailing window", logExactInEveryWindow},
	{"log refunds", logRefund},
	{"log refunds what there is", logRefundOfLess},
	{"log with the clock far behind", logClockFarBehind},
	{"log in milliseconds", logMilliseconds},
	{"log full of single units", logFull},

	{"clock a little behind stands still", clockBehind},
	{"clock far behind keeps the counts", clockFarBehind},
	{"calendar follows the store's clock", calendarFollowsClock},
	{"calendar counts anew from another start", calendarAnotherStart},
	{"calendar out of reach", calendarOutOfReach},
	{"calendar with the clock behind", calendarClockBehind},
	{"calendar that does not reach the last spending", calendarClockBehindReach},

	{"same id, same decision", sameID},
	{"same id, refused again", sameIDRefused},
	{"same id, other content", sameIDConflict},
	{"id is forgotten after a minute", idForgotten},
	{"id with the clock behind", idClockBehind},
	{"ids of groups are apart", idsOfGroups},
	{"id with changed rules", idChangedRules},

	{"refund gives back", refundGivesBack},
	{"refund to the previous window", refundPreviousWindow},
	{"refund after the window", refundTooLate},
	{"refund once", refundOnce},
	{"refund does not move the clock", refundMovesNoClock},
	{"refund after a reset", refundAfterReset},
	{"refund of what was not spent", refundNothingSpent},
	{"receipt survives JSON", receiptJSON},
	{"receipt of a replay", receiptOfReplay},

	{"charge spends more", chargeSpendsMore},
	{"charge beyond the limit", chargeBeyondLimit},
	{"charge no further than is exact", chargeSaturates},
	{"charge to the previous window", chargePreviousWindow},
	{"charge after the window", chargeTooLate},
	{"charge does not move the clock", chargeMovesNoClock},
	{"charge a gcra for longer than it drains", chargeGCRA},
	{"charge for what was not spent", chargeNothingSpent},
	{"charge after a reset", chargeAfterReset},
	{"charge by a receipt as JSON", chargeJSON},

	{"durable rules decide nothing unseeded", durableUnseeded},
	{"durable with the clock behind", durableClockBehind},
	{"durable with the clock behind in other periods", durableClockBehindStart},
	{"durable and forgotten", durableForgotten},
	{"durable is not identity", durableIdentity},
	{"durable under an id", durableReplay},
	{"durable out of reach", durableOutOfReach},
	{"seed raises and never lowers", seedRaises},
	{"seed of another period", seedAnotherPeriod},
	{"seed many", seedMany},

	{"bad seeds", badSeeds},
	{"bad requests", badRequests},
	{"bad refunds and resets", badRefunds},
	{"done context spends nothing", doneContext},

	{"concurrent takes of one rule", concurrentOneRule},
	{"concurrent takes of shared rules", concurrentSharedRules},
	{"concurrent takes of one id", concurrentOneID},
}

// A subject is a store under test with what a test needs to ask it.
type subject struct {
	t     require.TestingT
	store ratelimit.Store
	clock *Clock
	group string
}

var groups atomic.Int64

// in returns the same subject for one case of a property, with a group of its
// own and its clock back at Noon.
func (s *subject) in(rt *rapid.T) *subject {
	s.clock.Set(Noon)
	return &subject{rt, s.store, s.clock, fmt.Sprint("case ", groups.Add(1))}
}

func (s *subject) request(cost int64, rules ...ratelimit.Rule) *ratelimit.Request {
	return &ratelimit.Request{Group: s.group, Cost: cost, Rules: rules}
}

func (s *subject) take(cost int64, rules ...ratelimit.Rule) *ratelimit.Decision {
	return s.ask(s.request(cost, rules...))
}

func (s *subject) ask(req *ratelimit.Request) *ratelimit.Decision {
	var dec ratelimit.Decision
	require.NoError(s.t, s.store.Take(context.Background(), req, &dec))
	require.Len(s.t, dec.Results, len(req.Rules))
	return &dec
}

func (s *subject) fails(req *ratelimit.Request) error {
	dec := ratelimit.Decision{Allowed: true, Results: make([]ratelimit.Result, 3)}
	err := s.store.Take(context.Background(), req, &dec)
	require.Error(s.t, err)
	require.False(s.t, dec.Allowed)
	require.Empty(s.t, dec.Results)
	return err
}

// remaining looks at each rule without spending.
func (s *subject) remaining(rules ...ratelimit.Rule) []int64 {
	var left []int64
	for _, r := range s.take(0, rules...).Results {
		left = append(left, r.Remaining)
	}
	return left
}

func sliding(name string, limit int64, window time.Duration) ratelimit.Rule {
	return ratelimit.Rule{Scope: "key", ID: "k1", Name: name, Limit: limit, Window: window}
}

func fixed(name string, limit int64, window time.Duration) ratelimit.Rule {
	rule := sliding(name, limit, window)
	rule.Algorithm = ratelimit.FixedWindow
	return rule
}

func gcra(name string, limit, burst int64, window time.Duration) ratelimit.Rule {
	rule := sliding(name, limit, window)
	rule.Algorithm, rule.Burst = ratelimit.GCRA, burst
	return rule
}

func log(name string, limit int64, window time.Duration) ratelimit.Rule {
	rule := sliding(name, limit, window)
	rule.Algorithm = ratelimit.SlidingLog
	return rule
}

// each is one rule of every algorithm, for what they have in common.
func each(limit int64, window time.Duration) []ratelimit.Rule {
	return []ratelimit.Rule{
		sliding("sliding", limit, window), fixed("fixed", limit, window),
		gcra("gcra", limit, 0, window), log("log", limit, window),
	}
}

func shadow(rule ratelimit.Rule) ratelimit.Rule {
	rule.Shadow = true
	return rule
}

// days is the calendar of UTC days around t.
func days(t time.Time) *ratelimit.Calendar {
	y, m, d := t.UTC().Date()
	day := func(offset int) time.Time { return time.Date(y, m, d+offset, 0, 0, 0, 0, time.UTC) }
	return &ratelimit.Calendar{
		Name:     "day",
		Previous: ratelimit.Period{Start: day(-1), End: day(0)},
		Current:  ratelimit.Period{Start: day(0), End: day(1)},
		Next:     ratelimit.Period{Start: day(1), End: day(2)},
	}
}

func daily(limit int64, calendar *ratelimit.Calendar) ratelimit.Rule {
	rule := fixed("daily", limit, 0)
	rule.Calendar = calendar
	return rule
}
