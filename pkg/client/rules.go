package client

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Rule is a limit over a window of time, or a quota over a calendar period:
// exactly one of Window and Period is set. What is left out, the service fills:
// answers have it all.
type Rule struct {
	Name   string        `json:"name"`
	Limit  int64         `json:"limit"`
	Window time.Duration `json:"-"`
	Period Period        `json:"period,omitzero"`
	// Algorithm is sliding_window unless said otherwise; quotas are fixed.
	Algorithm Algorithm `json:"algorithm,omitzero"`
	// Burst is how many units a GCRA rule admits at once, where Limit and Window
	// are the rate at which they come back; Limit unless said otherwise.
	Burst int64 `json:"burst,omitzero"`
	// Scope says whose calls are counted together. Rules of a key count the
	// key; those of owners and plans count by owner unless said otherwise.
	Scope Scope `json:"scope,omitzero"`
	// Overage says what happens beyond a quota; block unless said otherwise.
	Overage Overage `json:"overage,omitzero"`
	// Methods and Endpoints narrow the rule to calls; endpoints are globs.
	Methods   []string `json:"methods,omitempty"`
	Endpoints []string `json:"endpoints,omitempty"`
	// Shadow rules count and report, and never refuse.
	Shadow bool `json:"shadow,omitzero"`
}

// Period is a calendar period in the owner's time zone.
type Period string

// The periods of quotas.
const (
	Day   Period = "day"
	Month Period = "month"
)

// Algorithm is how a window is counted.
type Algorithm string

// The algorithms of windows.
const (
	SlidingWindow Algorithm = "sliding_window"
	FixedWindow   Algorithm = "fixed_window"
	GCRA          Algorithm = "gcra"        // a steady rate with a burst: a token bucket
	SlidingLog    Algorithm = "sliding_log" // exact in every trailing window; Limit is at most 10,000
)

// Scope says whose calls a rule counts together.
type Scope string

// The scopes of rules.
const (
	ScopeKey   Scope = "key"
	ScopeOwner Scope = "owner"
)

// Overage says what happens beyond a quota.
type Overage string

// The overages of quotas.
const (
	Block Overage = "block"
	Allow Overage = "allow"
)

// plainRule has the fields of a Rule and not its methods.
type plainRule Rule

type wireRule struct {
	*plainRule
	Window string `json:"window,omitempty"`
}

// MarshalJSON writes the rule as the API reads it.
func (r Rule) MarshalJSON() ([]byte, error) {
	wire := wireRule{plainRule: (*plainRule)(&r)}
	if r.Window != 0 {
		wire.Window = FormatDuration(r.Window)
	}
	return json.Marshal(wire)
}

// UnmarshalJSON reads a rule as the API writes it.
func (r *Rule) UnmarshalJSON(data []byte) error {
	wire := wireRule{plainRule: (*plainRule)(r)}
	if err := json.Unmarshal(data, &wire); err != nil || wire.Window == "" {
		return err
	}
	window, err := time.ParseDuration(wire.Window)
	if err != nil {
		return fmt.Errorf("rule %s: window: %w", r.Name, err)
	}
	r.Window = window
	return nil
}

// FormatDuration writes a duration as the API does, in its shortest form: "1h"
// where Go writes "1h0m0s".
func FormatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
