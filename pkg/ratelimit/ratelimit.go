package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Store holds counters and decides requests against them. All methods are
// safe for concurrent use.
type Store interface {
	// Take decides req in one atomic step and writes the answer to dec, whose
	// Results slice is reused: a caller that keeps its Decision pays no
	// allocation. A refusal is an answer, not an error; after an error
	// dec.Allowed is false and dec.Results is empty.
	//
	// Its errors are *InvalidError, ErrIDConflict, *UnseededError, ErrFull and
	// that of a ctx that was done before it began: then nothing was spent.
	// After ErrUnavailable it is not known whether anything was.
	Take(ctx context.Context, req *Request, dec *Decision) error

	// Refund settles what an allowed Take spent. It gives units, up to
	// receipt.Cost, back to every counter that the Take spent from and whose
	// window still counts; the others have forgotten the spending anyway.
	// Units below zero, down to -MaxCost, are charged instead, beyond the limit
	// too, as far as a counter counts: a bucket of a SlidingWindow and the level
	// of a GCRA to MaxSlidingLimit, a FixedWindow to MaxFixedLimit, a SlidingLog
	// to MaxLogLimit in all.
	//
	// A receipt is good for one Refund, in either direction: a second returns
	// ErrRefunded while any of its windows counts, nil after. Zero units, and
	// the receipt of a Take that spent nothing, are invalid: a look cannot be
	// settled.
	Refund(ctx context.Context, receipt Receipt, units int64) error

	// Seed raises counters of calendar rules to at least what is known
	// elsewhere to have been used, from 1 to MaxRules at once: for Durable rules
	// whose counters the store does not hold. It is decided in one atomic step,
	// lowers nothing, and can be repeated: see Seeding.
	//
	// After ErrFull nothing was seeded, after ErrUnavailable perhaps all of it.
	Seed(ctx context.Context, group string, seeds []Seeding) error

	// Reset forgets the counters that rules name in group, as if nothing had
	// ever been spent from them. Decisions kept under an ID, and receipts, stay.
	Reset(ctx context.Context, group string, rules []Rule) error
}

// Bounds of a Request. Rules outside them are refused with an InvalidError.
const (
	MaxRules        = 64        // rules of one request
	MaxCost         = 1<<53 - 1 // units of one request
	MaxSlidingLimit = 1 << 32   // Limit of a SlidingWindow or GCRA rule, and Burst
	MaxFixedLimit   = 1<<53 - 1 // Limit of a FixedWindow rule
	MaxLogLimit     = 10_000    // Limit of a SlidingLog rule
	MinWindow       = 100 * time.Millisecond
	MaxSliding      = 31 * 24 * time.Hour  // Window of every rule but a FixedWindow
	MaxFixed        = 366 * 24 * time.Hour // Window or calendar period of a FixedWindow rule
	MaxDrain        = 366 * 24 * time.Hour // time in which a full GCRA bucket drains: Window · Burst / Limit
)

// Replay is how long a decision is kept under its Request.ID.
const Replay = 60 * time.Second

// Never is the RetryAfter of a refusal that no waiting can turn into an
// admission: the cost exceeds the limit.
const Never time.Duration = -1

// Algorithm says how a rule counts.
type Algorithm uint8

const (
	// SlidingWindow weighs the previous window by how much of it the trailing
	// window still covers. It is the default.
	SlidingWindow Algorithm = iota
	// FixedWindow counts from zero in each window, or calendar period.
	FixedWindow
	// GCRA drains at a steady rate of Limit units a Window, and takes up to
	// Burst units at once: a token bucket.
	GCRA
	// SlidingLog remembers each spending: exact in every trailing window.
	SlidingLog
)

var algorithms = [...]string{
	SlidingWindow: "sliding_window", FixedWindow: "fixed_window", GCRA: "gcra", SlidingLog: "sliding_log",
}

// String returns the name that ParseAlgorithm reads.
func (a Algorithm) String() string {
	if int(a) < len(algorithms) {
		return algorithms[a]
	}
	return fmt.Sprintf("Algorithm(%d)", uint8(a))
}

// ParseAlgorithm returns the algorithm of that name: "sliding_window",
// "fixed_window", "gcra" or "sliding_log". Its error is ErrInvalid.
func ParseAlgorithm(name string) (Algorithm, error) {
	for a, n := range algorithms {
		if n == name {
			return Algorithm(a), nil
		}
	}
	return 0, fmt.Errorf("algorithm %q: %w", name, ErrInvalid)
}

// MarshalText writes the name, so that rules and receipts keep their meaning
// as JSON.
func (a Algorithm) MarshalText() ([]byte, error) {
	if int(a) >= len(algorithms) {
		return nil, fmt.Errorf("algorithm %d: %w", uint8(a), ErrInvalid)
	}
	return []byte(algorithms[a]), nil
}

// UnmarshalText reads what MarshalText wrote.
func (a *Algorithm) UnmarshalText(text []byte) error {
	parsed, err := ParseAlgorithm(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// Period is the half-open span [Start, End), in whole milliseconds.
type Period struct{ Start, End time.Time }

// Calendar is three adjoining periods of a calendar (days, months), of which
// the store picks the one its own clock is in: the caller's clock need only be
// right to within a period. A store whose clock is in none of them refuses the
// request with an InvalidError.
//
// Counting starts anew with each period start, so periods of one Name that
// start at other instants (another time zone) count anew too.
type Calendar struct {
	Name                    string // part of the counter's identity, such as "month"
	Previous, Current, Next Period
}

// Rule is one limit on a Request.
//
// Scope, ID, Name, Algorithm and Window (or the calendar's Name) are the
// identity of the rule's counter within its group. Another Limit, Burst, Shadow
// or Durable keeps the count; another Window or Algorithm is another counter.
type Rule struct {
	Scope, ID string        // whose limit it is, such as "key" and the key's id
	Name      string        // such as "per-minute"
	Algorithm Algorithm     //
	Limit     int64         // units in a window, at least 1
	Burst     int64         // GCRA only: units at once, at least 1; zero means Limit
	Window    time.Duration // in whole ticks: 1 µs up to an hour, 1 ms above; zero with a Calendar
	Calendar  *Calendar     // FixedWindow only: quotas per day or month
	Shadow    bool          // counts and reports, never refuses
	Durable   bool          // with a Calendar only: decides nothing until the store holds the period's count

	prepared *identity
}

// Request asks whether Cost units may be spent from every rule's counter: from
// all of them, or from none.
type Request struct {
	// ID, when set, makes the request safe to repeat: for the time of Replay
	// the same ID in the same Group gets the first decision again, and spends
	// nothing. Fingerprint stands for the content of the call: the same ID with
	// another Fingerprint is answered with ErrIDConflict.
	ID          string
	Fingerprint uint64

	// Group names the counters that are decided together. A rule means another
	// counter in each group, and a group lives in one place: one lock in
	// memory, one hash slot in Redis.
	Group string

	// Cost is in units, from 0 to MaxCost. Zero looks without spending.
	Cost int64

	// Rules are at most MaxRules, no two of the same counter. They must not
	// change while a Decision about them is in use.
	Rules []Rule
}

// Result is what one rule said.
type Result struct {
	// Rule points into Request.Rules; in a replayed decision, to a copy of the
	// rule that was decided then.
	Rule *Rule

	// Remaining is how many units could be spent now, after this decision.
	Remaining int64

	// Start is the start of the window or period in which this call counts. A
	// GCRA counts from when its bucket was last empty, a SlidingLog from the
	// call itself.
	Start time.Time

	// ResetAfter is the time until Remaining grows, without other traffic. It
	// is zero when nothing is used.
	ResetAfter time.Duration

	// RetryAfter is zero unless Denied or WouldDeny; then, without other
	// traffic, the rule admits the same cost after exactly that time and not a
	// tick before, or Never.
	RetryAfter time.Duration

	Denied    bool // the rule refuses
	WouldDeny bool // a shadow rule would have refused
}

// Decision is the answer to a Request. It can be reused for the next one.
type Decision struct {
	Allowed  bool
	Replayed bool      // this is the decision an earlier request with the same ID got
	At       time.Time // the instant decided at, by the store's clock, in whole microseconds
	Cost     int64     // as requested
	Nonce    uint64    // with At, tells this decision from every other of its group
	Results  []Result  // one per rule, in the order of the request
}

// RetryAfter returns how long after At the same request is admitted, if
// nothing else is spent meanwhile: not a tick earlier. It is zero for an
// allowed request and Never when the cost exceeds a limit.
func (d *Decision) RetryAfter() time.Duration {
	var longest time.Duration
	for i := range d.Results {
		r := &d.Results[i]
		if !r.Denied {
			continue
		}
		if r.RetryAfter == Never {
			return Never
		}
		longest = max(longest, r.RetryAfter)
	}
	return longest
}

// Tightest returns the result of the enforced rule that is nearest its limit:
// the refusing one with the longest RetryAfter, else the one with the smallest
// Remaining, the first of equals. It is nil if no rule is enforced.
func (d *Decision) Tightest() *Result {
	var tightest *Result
	for i := range d.Results {
		if r := &d.Results[i]; !r.Rule.Shadow && (tightest == nil || r.tighter(tightest)) {
			tightest = r
		}
	}
	return tightest
}

func (r *Result) tighter(than *Result) bool {
	if r.Denied != than.Denied {
		return r.Denied
	}
	if !r.Denied || r.RetryAfter == than.RetryAfter {
		return r.Remaining < than.Remaining
	}
	// Never is negative and outlasts every wait.
	return uint64(r.RetryAfter) > uint64(than.RetryAfter)
}

// Receipt says what an allowed Take spent, so that it can be refunded or charged
// for more. It stands alone and survives JSON.
type Receipt struct {
	Group string
	At    time.Time
	Nonce uint64
	Cost  int64
	Spent []Spending
}

// Spending names one counter and the start of the window it was charged in.
type Spending struct {
	Rule  Rule
	Start time.Time
}

// Receipt returns the receipt of the decision about a request of that group.
// A refused request, and one that only looked, has a receipt of Cost 0, which
// cannot be settled.
func (d *Decision) Receipt(group string) Receipt {
	receipt := Receipt{Group: group, At: d.At, Nonce: d.Nonce}
	if !d.Allowed || d.Cost == 0 {
		return receipt
	}
	receipt.Cost = d.Cost
	receipt.Spent = make([]Spending, 0, len(d.Results))
	for i := range d.Results {
		if r := &d.Results[i]; !r.WouldDeny {
			receipt.Spent = append(receipt.Spent, Spending{Rule: *r.Rule, Start: r.Start})
		}
	}
	return receipt
}

// Errors that callers tell apart with errors.Is.
var (
	ErrInvalid     = errors.New("invalid request")                  // every *InvalidError is one
	ErrIDConflict  = errors.New("request id used for another call") // the Fingerprint differs
	ErrRefunded    = errors.New("already refunded")
	ErrUnseeded    = errors.New("counter not seeded") // every *UnseededError is one
	ErrFull        = errors.New("no room for new counters")
	ErrUnavailable = errors.New("store unavailable") // no answer: it may have spent, and never admits twice
)

// InvalidError says what is wrong with a request. Nothing was spent.
type InvalidError struct {
	Rule   int    // index of the rule, -1 for the request itself
	Field  string // name of the field of Rule, Request, Receipt or Seeding, "Units" or "Seeds"
	Reason string // what would be right; never the bad value
}

func (e *InvalidError) Error() string {
	if e.Rule < 0 {
		return fmt.Sprintf("%s %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("rule %d: %s %s", e.Rule, e.Field, e.Reason)
}

// Unwrap returns ErrInvalid.
func (e *InvalidError) Unwrap() error { return ErrInvalid }
