package storetest

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// A history is short enough to be searched in milliseconds.
const searchFor = 30 * time.Second

// check looks for a serial order of the calls in which the Model answers the same.
func (r *record) check() error {
	if err := r.failures(); err != nil {
		return err
	}
	operations := make([]porcupine.Operation, len(r.calls))
	for i, c := range r.calls {
		operations[i] = porcupine.Operation{
			ClientId: c.caller, Input: c, Output: &c.answer, Call: int64(c.begin), Return: int64(c.end),
		}
	}
	model := porcupine.Model{
		Init:  func() any { return NewModel(nil) },
		Step:  func(state, input, output any) (bool, any) { return r.step(state.(*Model), input.(*call)) },
		Equal: func(a, b any) bool { return a.(*Model).equal(b.(*Model)) },
	}
	found := porcupine.CheckOperationsTimeout(model, operations, searchFor)
	if found == porcupine.Ok {
		return nil
	}
	_, info := porcupine.CheckOperationsVerbose(model, operations, searchFor)
	explained := map[any]bool{}
	for _, order := range info.PartialLinearizationsOperations()[0] {
		if len(order) <= len(explained) {
			continue
		}
		clear(explained)
		for _, operation := range order {
			explained[operation.Input] = true
		}
	}
	return fmt.Errorf("%s: the search for a serial order ended %s:\n%s", r.group, found, r.text(explained))
}

// step lets a copy of the model do the call at the instant the store did, and compares the answers.
func (r *record) step(before *Model, c *call) (same bool, after *Model) {
	m := before.copy()
	ctx := context.Background()
	m.now = func() time.Time { return r.begun }
	a := &c.answer
	switch {
	case c.reset != nil:
		return sameError(m.Reset(ctx, r.group, c.reset), a.err), m
	case c.receipt != nil:
		return sameError(m.Refund(ctx, *c.receipt, c.units), a.err), m
	case c.seeds != nil:
		return sameError(m.Seed(ctx, r.group, c.seeds), a.err), m
	case a.err == nil:
		m.now = func() time.Time { return a.dec.At } // a replay's is when it was decided, and then it counts
	}
	var dec ratelimit.Decision
	err := m.Take(ctx, c.req, &dec)
	if !sameError(err, a.err) || !sameAnswer(&dec, &a.dec) {
		return false, m
	}
	if name := (requestName{r.group, c.req.ID}); c.req.ID != "" && !dec.Replayed {
		kept := m.kept[name]
		kept.decision.Nonce = a.dec.Nonce // the store's own, which its replays must have too
		m.kept[name] = kept
	} else if dec.Replayed && dec.Nonce != a.dec.Nonce {
		return false, m
	}
	return true, m
}

// copy shares nothing that changes.
func (m *Model) copy() *Model {
	counters := make(map[counterName]counter, len(m.counters))
	for name, c := range m.counters {
		switch c := c.(type) {
		case *bucket:
			b := &bucket{last: c.last, since: c.since}
			b.level.Set(&c.level)
			counters[name] = b
		case *tally:
			counters[name] = &tally{slices.Clone(c.spent), c.last}
		}
	}
	return &Model{counters: counters, kept: maps.Clone(m.kept), refunded: maps.Clone(m.refunded)}
}

// equal tells whether the models will answer the same.
func (m *Model) equal(as *Model) bool {
	return maps.EqualFunc(m.counters, as.counters, sameCounter) && maps.Equal(m.refunded, as.refunded) &&
		maps.EqualFunc(m.kept, as.kept, func(a, b answer) bool { return a.at == b.at && reflect.DeepEqual(a, b) })
}

func sameCounter(a, b counter) bool {
	switch a := a.(type) {
	case *bucket:
		b := b.(*bucket)
		return (*big.Int).Cmp(&a.level, &b.level) == 0 && a.last == b.last && a.since == b.since
	case *tally:
		b := b.(*tally)
		return a.last == b.last && slices.Equal(a.spent, b.spent)
	default:
		return false
	}
}

// text is what the callers did, by the order of the begins. Calls for which the longest order has no place are marked.
func (r *record) text(explained map[any]bool) string {
	slices.SortFunc(r.calls, func(a, b *call) int { return a.begin - b.begin })
	var text strings.Builder
	about := map[string]bool{}
	for i := range r.rules {
		fmt.Fprintln(&text, " ", ruleText(&r.rules[i]))
		about[r.rules[i].Name] = true
	}
	for _, c := range r.calls {
		mark := "?"
		if explained[c] {
			mark = " "
		}
		fmt.Fprintf(&text, "%s %d from %d to %d: ", mark, c.caller, c.begin, c.end)
		rules := c.reset
		switch {
		case c.reset != nil:
			fmt.Fprint(&text, "reset", names(rules))
		case c.receipt != nil:
			fmt.Fprintf(&text, "refund %d of receipt %d", c.units, c.receipt.Nonce)
		case c.seeds != nil:
			fmt.Fprint(&text, "seed")
			for i := range c.seeds {
				fmt.Fprintf(&text, ", %s %d", c.seeds[i].Rule.Name, c.seeds[i].Used)
			}
		default:
			rules = c.req.Rules
			fmt.Fprintf(&text, "take %d%s %q, at %v as %d", c.req.Cost, names(rules), c.req.ID,
				c.answer.dec.At.Sub(Noon), c.answer.dec.Nonce)
		}
		fmt.Fprintf(&text, "\n    %s\n", describe(rules, c.answer, about))
	}
	return text.String()
}

func names(rules []ratelimit.Rule) string {
	var text strings.Builder
	for _, r := range rules {
		text.WriteString(", " + r.Name)
	}
	return text.String()
}
