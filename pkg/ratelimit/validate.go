package ratelimit

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"
)

// Validate returns an *InvalidError for the first thing in the request that a
// Store would refuse, short of what depends on the store's clock.
func (r *Request) Validate() error {
	switch {
	case r.Group == "":
		return &InvalidError{-1, "Group", "must not be empty"}
	case r.Cost < 0 || r.Cost > MaxCost:
		return &InvalidError{-1, "Cost", fmt.Sprintf("must be from 0 to %d", int64(MaxCost))}
	}
	return validateRules(r.Rules)
}

// Validate returns an *InvalidError for what a Store would refuse in a refund
// of units to the receipt.
func (r *Receipt) Validate(units int64) error {
	switch {
	case r.Group == "":
		return &InvalidError{-1, "Group", "must not be empty"}
	case r.Cost < 1:
		return &InvalidError{-1, "Units", "must be of a Take that spent: a look cannot be settled"}
	case units == 0 || units < -MaxCost || units > r.Cost:
		const reason = "must be from %d to what the receipt says was spent, and not 0"
		return &InvalidError{-1, "Units", fmt.Sprintf(reason, int64(-MaxCost))}
	case r.Cost > MaxCost:
		return &InvalidError{-1, "Cost", fmt.Sprintf("must be from 0 to %d", int64(MaxCost))}
	case len(r.Spent) > MaxRules:
		return &InvalidError{-1, "Spent", fmt.Sprintf("must hold at most %d", MaxRules)}
	}
	for i := range r.Spent {
		spent := &r.Spent[i]
		if e := spent.Rule.validate(); e != nil {
			e.Rule = i
			return e
		}
		for j := range i {
			if r.Spent[j].Rule.sameCounter(&spent.Rule) {
				return twice(i, j)
			}
		}
	}
	return nil
}

func validateRules(rules []Rule) error {
	if len(rules) > MaxRules {
		return &InvalidError{-1, "Rules", fmt.Sprintf("must hold at most %d", MaxRules)}
	}
	for i := range rules {
		if e := rules[i].validate(); e != nil {
			e.Rule = i
			return e
		}
		for j := range i {
			if rules[j].sameCounter(&rules[i]) {
				return twice(i, j)
			}
		}
	}
	return nil
}

func twice(i, j int) error {
	return &InvalidError{i, "Name", fmt.Sprintf("must not name the counter of rule %d again", j)}
}

func (r *Rule) sameCounter(as *Rule) bool {
	if r.Name != as.Name || r.ID != as.ID || r.Scope != as.Scope || r.Algorithm != as.Algorithm || r.Window != as.Window {
		return false
	}
	if r.Calendar == nil || as.Calendar == nil {
		return r.Calendar == as.Calendar
	}
	return r.Calendar.Name == as.Calendar.Name
}

func (r *Rule) validate() *InvalidError {
	switch {
	case r.Scope == "":
		return &InvalidError{Field: "Scope", Reason: "must not be empty"}
	case r.ID == "":
		return &InvalidError{Field: "ID", Reason: "must not be empty"}
	case r.Name == "":
		return &InvalidError{Field: "Name", Reason: "must not be empty"}
	case int(r.Algorithm) >= len(algorithms):
		return &InvalidError{Field: "Algorithm", Reason: "must be a known one"}
	case r.Calendar != nil:
		return r.validateCalendar()
	case r.Durable:
		return &InvalidError{Field: "Durable", Reason: "must be false without a Calendar"}
	}
	limit, window := int64(MaxSlidingLimit), MaxSliding
	switch r.Algorithm {
	case FixedWindow:
		limit, window = MaxFixedLimit, MaxFixed
	case SlidingLog:
		limit = MaxLogLimit
	}
	switch {
	case r.Limit < 1 || r.Limit > limit:
		return badLimit(limit)
	case r.Window < MinWindow || r.Window > window:
		return &InvalidError{Field: "Window", Reason: fmt.Sprintf("must be from %v to %v", MinWindow, window)}
	case r.Window%counter.Tick(r.Window) != 0:
		return &InvalidError{Field: "Window", Reason: "must be in whole microseconds, above an hour in whole milliseconds"}
	case r.Algorithm != GCRA && r.Burst != 0:
		return badBurst("must be zero unless the Algorithm is GCRA")
	case r.Burst < 0 || r.Burst > MaxSlidingLimit:
		return badBurst(fmt.Sprintf("must be from 1 to %d, or zero for the Limit", int64(MaxSlidingLimit)))
	case r.Algorithm == GCRA && !r.drainsInTime():
		return badBurst(fmt.Sprintf("must drain within %v at the rate of Limit units a Window", MaxDrain))
	}
	return nil
}

func badBurst(reason string) *InvalidError { return &InvalidError{Field: "Burst", Reason: reason} }

// burst returns how many units a GCRA takes at once.
func (r *Rule) burst() int64 {
	if r.Algorithm == GCRA && r.Burst == 0 {
		return r.Limit
	}
	return r.Burst
}

// drainsInTime tells whether burst · window / limit ≤ MaxDrain.
func (r *Rule) drainsInTime() bool {
	high, low := bits.Mul64(uint64(r.burst()), uint64(r.Window))
	mostHigh, mostLow := bits.Mul64(uint64(r.Limit), uint64(MaxDrain))
	return high < mostHigh || high == mostHigh && low <= mostLow
}

func badLimit(largest int64) *InvalidError {
	return &InvalidError{Field: "Limit", Reason: fmt.Sprintf("must be from 1 to %d", largest)}
}

// The instants that a double counts exactly in microseconds.
var epoch, horizon = time.UnixMicro(0), time.UnixMicro(1<<53 - 1)

func (r *Rule) validateCalendar() *InvalidError {
	c := r.Calendar
	switch {
	case r.Algorithm != FixedWindow:
		return &InvalidError{Field: "Algorithm", Reason: "must be FixedWindow with a Calendar"}
	case r.Limit < 1 || r.Limit > MaxFixedLimit:
		return badLimit(MaxFixedLimit)
	case r.Window != 0:
		return &InvalidError{Field: "Window", Reason: "must be zero with a Calendar"}
	case r.Burst != 0:
		return badBurst("must be zero with a Calendar")
	case c.Name == "":
		return &InvalidError{Field: "Calendar", Reason: "must have a name"}
	case !c.Previous.End.Equal(c.Current.Start) || !c.Current.End.Equal(c.Next.Start):
		return &InvalidError{Field: "Calendar", Reason: "must have periods that adjoin"}
	case c.Previous.Start.Before(epoch) || c.Next.End.After(horizon):
		return &InvalidError{Field: "Calendar", Reason: "must lie between 1970 and 2255"}
	}
	for _, p := range [...]*Period{&c.Previous, &c.Current, &c.Next} {
		switch length := p.End.Sub(p.Start); {
		case length < MinWindow || length > MaxFixed:
			return &InvalidError{Field: "Calendar", Reason: fmt.Sprintf("must have periods from %v to %v", MinWindow, MaxFixed)}
		case p.Start.Nanosecond()%int(time.Millisecond) != 0 || p.End.Nanosecond()%int(time.Millisecond) != 0:
			return &InvalidError{Field: "Calendar", Reason: "must have periods in whole milliseconds"}
		}
	}
	return nil
}
