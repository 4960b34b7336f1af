package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// event is what was done, and what the Model said to it.
type event struct {
	at   time.Time
	what string
	req  *ratelimit.Request
	said answered
}

// answered is an answer to keep.
type answered struct {
	err error
	dec ratelimit.Decision
}

func (p *player) said() answered {
	dec := p.dec
	dec.Results = append([]ratelimit.Result(nil), dec.Results...)
	return answered{p.err, dec}
}

// compare reports the first player whose answer is not the Model's.
func (tr *trace) compare() error {
	model := tr.players[0]
	for _, p := range tr.players[1:] {
		if !sameError(model.err, p.err) || !sameAnswer(&model.dec, &p.dec) {
			return tr.mismatch(p)
		}
	}
	return nil
}

// sameError compares which error it is, and where; not how it is worded.
func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	var x, y *ratelimit.InvalidError
	if errors.As(a, &x) && errors.As(b, &y) {
		return x.Rule == y.Rule && x.Field == y.Field
	}
	var v, w *ratelimit.UnseededError
	if errors.As(a, &v) && errors.As(b, &w) {
		return slices.Equal(v.Rules, w.Rules) && slices.EqualFunc(v.Starts, w.Starts, time.Time.Equal)
	}
	return errors.Is(a, b) || errors.Is(b, a)
}

// sameAnswer compares all but the Nonce, and instants as instants.
func sameAnswer(a, b *ratelimit.Decision) bool {
	if a.Allowed != b.Allowed || a.Replayed != b.Replayed || !a.At.Equal(b.At) || a.Cost != b.Cost ||
		len(a.Results) != len(b.Results) {
		return false
	}
	for i := range a.Results {
		if !sameResult(&a.Results[i], &b.Results[i]) {
			return false
		}
	}
	return true
}

func sameResult(a, b *ratelimit.Result) bool {
	x, y := *a, *b
	rules := x.Rule == y.Rule || reflect.DeepEqual(utc(x.Rule), utc(y.Rule))
	starts := x.Start.Equal(y.Start)
	x.Rule, y.Rule, x.Start, y.Start = nil, nil, time.Time{}, time.Time{}
	return rules && starts && x == y
}

// utc is a rule whose calendar is written in UTC.
func utc(r *ratelimit.Rule) ratelimit.Rule {
	rule := *r
	if r.Calendar != nil {
		c := *r.Calendar
		for _, p := range []*ratelimit.Period{&c.Previous, &c.Current, &c.Next} {
			p.Start, p.End = p.Start.UTC(), p.End.UTC()
		}
		rule.Calendar = &c
	}
	return rule
}

// mismatch tells the history of the counters whose answers differ.
func (tr *trace) mismatch(p *player) error {
	now, model := tr.past[len(tr.past)-1], tr.players[0]
	about := map[string]bool{}
	for i := range now.req.Rules {
		same := len(p.dec.Results) == len(now.req.Rules) && len(model.dec.Results) == len(now.req.Rules) &&
			sameResult(&p.dec.Results[i], &model.dec.Results[i])
		about[now.req.Rules[i].Name] = !same
	}
	var text strings.Builder
	fmt.Fprintf(&text, "step %d: %s differs from the model, at last:\n", len(tr.past)-1, p.name)
	const most = 40
	lines := tr.history(about)
	if n := len(lines) - most; n > 0 {
		fmt.Fprintf(&text, "  (%d earlier ones)\n", n)
		lines = lines[n:]
	}
	for _, line := range lines {
		fmt.Fprintln(&text, line)
	}
	fmt.Fprintf(&text, "  %s: %s", p.name, describe(now.req.Rules, p.said(), about))
	return errors.New(text.String())
}

// history is what was done with the counters about which it is.
func (tr *trace) history(about map[string]bool) []string {
	var lines []string
	for i, e := range tr.past {
		var rules []string
		for j := range e.req.Rules {
			if r := &e.req.Rules[j]; about[r.Name] {
				rules = append(rules, ruleText(r))
			}
		}
		if len(rules) == 0 {
			continue
		}
		if e.req.ID != "" {
			e.what += fmt.Sprintf(" as %q %d", e.req.ID, e.req.Fingerprint)
		}
		lines = append(lines, fmt.Sprintf("  %d: %v  %s, %s\n    model: %s", i, e.at.Sub(Noon), e.what,
			strings.Join(rules, ", "), describe(e.req.Rules, e.said, about)))
	}
	return lines
}

func ruleText(r *ratelimit.Rule) string {
	text := fmt.Sprintf("%s (%v %d", r.Name, r.Algorithm, r.Limit)
	if r.Burst > 0 {
		text += fmt.Sprintf(" burst %d", r.Burst)
	}
	if c := r.Calendar; c != nil {
		text += fmt.Sprintf(" from %v, %v, %v to %v",
			c.Previous.Start.Sub(Noon), c.Current.Start.Sub(Noon), c.Next.Start.Sub(Noon), c.Next.End.Sub(Noon))
	} else {
		text += fmt.Sprintf(" per %v", r.Window)
	}
	if r.Shadow {
		text += ", shadow"
	}
	if r.Durable {
		text += ", durable"
	}
	return text + ")"
}

func describe(rules []ratelimit.Rule, a answered, about map[string]bool) string {
	if a.err != nil {
		return a.err.Error()
	}
	if a.dec.At.IsZero() {
		return "done"
	}
	text := "refused"
	if a.dec.Allowed {
		text = "allowed"
	}
	if a.dec.Replayed {
		text += fmt.Sprintf(" again %d, as at %v", a.dec.Cost, a.dec.At.Sub(Noon))
	}
	for i := range a.dec.Results {
		r := &a.dec.Results[i]
		if !a.dec.Replayed && i < len(rules) && !about[rules[i].Name] {
			continue
		}
		text += fmt.Sprintf("; %s: %d left, more after %v, start %v",
			r.Rule.Name, r.Remaining, r.ResetAfter, r.Start.Sub(Noon))
		if r.Denied || r.WouldDeny {
			text += fmt.Sprintf(", denied (shadow %v) for %v", r.WouldDeny, r.RetryAfter)
		}
	}
	return text
}
