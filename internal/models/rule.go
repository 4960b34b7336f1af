package models

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Scope says whose traffic a rule counts together.
type Scope string

// The scopes of a rule.
const (
	ScopeKey   Scope = "key"   // each key on its own
	ScopeOwner Scope = "owner" // all keys of an owner together
)

// PeriodKind is a calendar period in the owner's time zone.
type PeriodKind string

// The calendar periods of a quota.
const (
	PeriodDay   PeriodKind = "day"
	PeriodMonth PeriodKind = "month"
	PeriodHour  PeriodKind = "hour" // of totals of usage alone
)

// Overage says what happens beyond a quota.
type Overage string

// The overages of a quota.
const (
	OverageBlock Overage = "block" // refuse
	OverageAllow Overage = "allow" // admit, count and charge
)

// Bounds of a set of rules.
const (
	MaxRules          = 20 // of each of plan, owner and key: together they fit into one take
	MaxRuleName       = 64
	MaxMatchMethods   = 16
	MaxMatchEndpoints = 32
	MaxPattern        = 256
	MinWindow         = 100 * time.Millisecond
	MaxSlidingWindow  = 31 * 24 * time.Hour
	MaxFixedWindow    = 366 * 24 * time.Hour
	MaxSlidingLimit   = 1 << 32
	MaxFixedLimit     = 1<<53 - 1
	MaxLogLimit       = 10_000
	MaxDrain          = 366 * 24 * time.Hour // in which a full bucket of a GCRA rule drains
)

// Rule is a limit over a window of time, or a quota over a calendar period.
// Exactly one of Window and Period is set.
type Rule struct {
	Name      string
	Limit     int64
	Window    time.Duration
	Period    PeriodKind
	Algorithm ratelimit.Algorithm
	Burst     int64 // GCRA only: units at once, where Limit and Window are the rate
	Scope     Scope
	Overage   Overage // quotas only
	// Methods and Endpoints narrow the rule; empty matches every call.
	// Endpoints are globs: * within a path segment, ** across segments.
	Methods   []string
	Endpoints []string
	// Shadow rules count and report, and never refuse.
	Shadow bool
}

// ruleJSON is the stored form of a rule: names and durations that people read.
type ruleJSON struct {
	Name      string     `json:"name"`
	Limit     int64      `json:"limit"`
	Window    string     `json:"window,omitempty"`
	Period    PeriodKind `json:"period,omitempty"`
	Algorithm string     `json:"algorithm"`
	Burst     int64      `json:"burst,omitempty"`
	Scope     Scope      `json:"scope"`
	Overage   Overage    `json:"overage,omitempty"`
	Methods   []string   `json:"methods,omitempty"`
	Endpoints []string   `json:"endpoints,omitempty"`
	Shadow    bool       `json:"shadow,omitempty"`
}

// MarshalJSON writes the stored form of the rule.
func (r Rule) MarshalJSON() ([]byte, error) {
	j := ruleJSON{
		r.Name, r.Limit, "", r.Period, r.Algorithm.String(), r.Burst, r.Scope, r.Overage, r.Methods, r.Endpoints, r.Shadow,
	}
	if r.Window != 0 {
		j.Window = r.Window.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Rule) UnmarshalJSON(data []byte) error {
	var j ruleJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("rule: %w", err)
	}
	algorithm, err := ratelimit.ParseAlgorithm(j.Algorithm)
	if err != nil {
		return fmt.Errorf("rule %s: %w", j.Name, err)
	}
	var window time.Duration
	if j.Window != "" {
		if window, err = time.ParseDuration(j.Window); err != nil {
			return fmt.Errorf("rule %s: window: %w", j.Name, err)
		}
	}
	*r = Rule{
		j.Name, j.Limit, window, j.Period, algorithm, j.Burst, j.Scope, j.Overage, j.Methods, j.Endpoints, j.Shadow,
	}
	return nil
}

// Quota tells whether the rule counts a calendar period.
func (r *Rule) Quota() bool { return r.Period != "" }

// Capacity is the most that can be spent at once.
func (r *Rule) Capacity() int64 {
	if r.Algorithm == ratelimit.GCRA && r.Burst > 0 {
		return r.Burst
	}
	return r.Limit
}

// Matches tells whether the rule counts a call. A rule narrowed to methods or
// endpoints does not count calls that name none.
func (r *Rule) Matches(method, endpoint string) bool {
	return matches(r.Methods, r.Endpoints, method, endpoint)
}

func matches(methods, endpoints []string, method, endpoint string) bool {
	if len(methods) > 0 && !slices.Contains(methods, method) {
		return false
	}
	if len(endpoints) == 0 {
		return true
	}
	for _, pattern := range endpoints {
		if doublestar.MatchUnvalidated(pattern, endpoint) {
			return true
		}
	}
	return false
}

// Normalize fills what was left out: the scope given, the sliding window for
// limits, the fixed one and blocking for quotas, a burst as large as the limit.
func (r *Rule) Normalize(scope Scope) {
	if r.Scope == "" {
		r.Scope = scope
	}
	if r.Quota() {
		if r.Algorithm == ratelimit.SlidingWindow { // the default of limits
			r.Algorithm = ratelimit.FixedWindow
		}
		if r.Overage == "" {
			r.Overage = OverageBlock
		}
	}
	// A limit that is refused is not to be refused a second time as a burst.
	if r.Algorithm == ratelimit.GCRA && r.Burst == 0 && r.Limit >= 1 && r.Limit <= MaxSlidingLimit {
		r.Burst = r.Limit
	}
	for i, m := range r.Methods {
		r.Methods[i] = strings.ToUpper(m)
	}
}

// NormalizeRules fills what was left out of each rule.
func NormalizeRules(rules []Rule, scope Scope) {
	for i := range rules {
		rules[i].Normalize(scope)
	}
}

// ValidateRules checks a set of rules, naming every bad field below v.
func ValidateRules(v *apierror.Validator, rules []Rule, scopes ...Scope) {
	v.Checkf(len(rules) <= MaxRules, "rules", "must hold at most %d rules", MaxRules)
	seen := make(map[string]bool, len(rules))
	for i := range rules[:min(len(rules), MaxRules)] {
		r, at := &rules[i], v.In("rules", i)
		r.validate(at, scopes)
		at.Check(!seen[r.Name], "name", "must be unique among the rules")
		seen[r.Name] = true
	}
}

func (r *Rule) validate(v *apierror.Validator, scopes []Scope) {
	v.Checkf(identifier(r.Name, MaxRuleName), "name",
		"must be 1 to %d characters of a-z, A-Z, 0-9, '.', '_' and '-'", MaxRuleName)
	v.Checkf(slices.Contains(scopes, r.Scope), "scope", "must be one of: %s", join(scopes))
	switch {
	case r.Quota() && r.Window != 0:
		v.Check(false, "window", "must be absent where period is given")
	case r.Quota():
		v.Check(r.Period == PeriodDay || r.Period == PeriodMonth, "period", `must be "day" or "month"`)
		v.Check(r.Algorithm == ratelimit.FixedWindow, "algorithm", "must be absent or fixed_window for a quota")
		v.Check(r.Overage == OverageBlock || r.Overage == OverageAllow, "overage", `must be "block" or "allow"`)
		r.validateLimit(v, MaxFixedLimit)
	default:
		v.Check(r.Overage == "", "overage", "must be absent unless period is given")
		longest, largest := MaxSlidingWindow, int64(MaxSlidingLimit)
		switch r.Algorithm {
		case ratelimit.FixedWindow:
			longest, largest = MaxFixedWindow, MaxFixedLimit
		case ratelimit.SlidingLog:
			largest = MaxLogLimit
		}
		r.validateWindow(v, longest)
		r.validateLimit(v, largest)
	}
	r.validateBurst(v)
	ValidateMatch(v, r.Methods, r.Endpoints)
}

func (r *Rule) validateWindow(v *apierror.Validator, longest time.Duration) {
	tick := time.Microsecond
	if r.Window > time.Hour {
		tick = time.Millisecond
	}
	v.Checkf(r.Window >= MinWindow && r.Window <= longest && r.Window%tick == 0, "window",
		"must be a duration such as \"30s\" or \"1h\", from %s to %s, in whole microseconds (milliseconds above an hour)", MinWindow, longest)
}

func (r *Rule) validateLimit(v *apierror.Validator, largest int64) {
	v.Checkf(r.Limit >= 1 && r.Limit <= largest, "limit", "must be from 1 to %d", largest)
}

func (r *Rule) validateBurst(v *apierror.Validator) {
	if r.Algorithm != ratelimit.GCRA {
		v.Check(r.Burst == 0, "burst", "must be absent unless algorithm is gcra")
		return
	}
	largest := r.maxBurst()
	v.Checkf(r.Burst >= 0 && r.Burst <= largest, "burst",
		"must be from 1 to %d, and drain within %d days", largest, MaxDrain/(24*time.Hour))
}

// maxBurst is the largest burst that drains in time. Where limit or window are
// wrong themselves, there is no rate to tell it by.
func (r *Rule) maxBurst() int64 {
	if r.Limit < 1 || r.Limit > MaxSlidingLimit || r.Window < MinWindow || r.Window > MaxSlidingWindow {
		return MaxSlidingLimit
	}
	// Limit · MaxDrain / Window; within these bounds the quotient fits.
	high, low := bits.Mul64(uint64(r.Limit), uint64(MaxDrain))
	largest, _ := bits.Div64(high, low, uint64(r.Window))
	return int64(min(largest, MaxSlidingLimit))
}

// ValidateMatch checks the methods and endpoint globs of a match.
func ValidateMatch(v *apierror.Validator, methods, endpoints []string) {
	v.Checkf(len(methods) <= MaxMatchMethods, "methods", "must hold at most %d methods", MaxMatchMethods)
	for i, m := range methods[:min(len(methods), MaxMatchMethods)] {
		v.In("methods", i).Check(len(m) >= 1 && len(m) <= 16 && strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "",
			"", `must be an HTTP method such as "GET"`)
	}
	v.Checkf(len(endpoints) <= MaxMatchEndpoints, "endpoints", "must hold at most %d patterns", MaxMatchEndpoints)
	for i, p := range endpoints[:min(len(endpoints), MaxMatchEndpoints)] {
		// Alternatives in braces take time exponential in their number to match.
		v.In("endpoints", i).Checkf(text(p, 1, MaxPattern) && !strings.ContainsAny(p, "{}") && doublestar.ValidatePattern(p),
			"", `must be a glob of 1 to %d characters such as "/v1/users/*", without braces`, MaxPattern)
	}
}

// MergeRules gives the rules in force: the plan's, then those of the owner and
// of the key, each overriding an earlier one of the same name in its place.
func MergeRules(layers ...[]Rule) []Rule {
	var merged []Rule
	for _, layer := range layers {
		for _, r := range layer {
			if i := slices.IndexFunc(merged, func(m Rule) bool { return m.Name == r.Name }); i >= 0 {
				merged[i] = r
			} else {
				merged = append(merged, r)
			}
		}
	}
	return merged
}
