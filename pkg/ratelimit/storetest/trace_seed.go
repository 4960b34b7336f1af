package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// extra draws what is charged for a receipt: up to about what a counter holds.
func (tr *trace) extra(receipt *ratelimit.Receipt) int64 {
	if len(receipt.Spent) == 0 {
		return 1
	}
	rule := &receipt.Spent[tr.IntN(len(receipt.Spent))].Rule
	all := capacity(rule)
	return min(ratelimit.MaxCost, tr.one(all, all+1, 2*all, 1+tr.Int64N(all), max(1, tr.last[rule.Name].remaining)))
}

// miss notes which counters a take was not decided for, to seed them.
func (tr *trace) miss(req *ratelimit.Request) {
	tr.missing = nil
	var unseeded *ratelimit.UnseededError
	if errors.As(tr.players[0].err, &unseeded) {
		for i, rule := range unseeded.Rules {
			r := req.Rules[rule]
			tr.missing = append(tr.missing, seeding(r, unseeded.Starts[i], tr.known(&r)))
		}
	}
}

// seedings draws seeds of some calendars, mostly for the period of the clock.
func (tr *trace) seedings() []ratelimit.Seeding {
	var seeds []ratelimit.Seeding
	for _, r := range tr.some() {
		if r.Calendar == nil {
			continue
		}
		periods := []ratelimit.Period{r.Calendar.Previous, r.Calendar.Current, r.Calendar.Next}
		start := periods[tr.IntN(len(periods))].Start
		if now, _, ok := span(&r, tr.clock.Now().UnixMilli()); ok && tr.IntN(3) > 0 {
			start = look(newCounter(&r), &r, 0).instant(now)
		}
		seeds = append(seeds, seeding(r, start, tr.known(&r)))
	}
	return seeds
}

// known draws what is said to be used: about what is, and anything.
func (tr *trace) known(r *ratelimit.Rule) int64 {
	used := max(0, r.Limit-tr.last[r.Name].remaining)
	known := tr.one(0, 0, used, used, used-1, used+1, tr.Int64N(r.Limit), r.Limit, r.Limit+1, tr.size(ratelimit.MaxFixedLimit))
	return min(max(0, known), ratelimit.MaxFixedLimit)
}

func (tr *trace) seed(seeds []ratelimit.Seeding) error {
	tr.missing = nil
	var what []string
	var rules []ratelimit.Rule
	for i := range seeds {
		what = append(what, fmt.Sprintf("%d from %v", seeds[i].Used, seeds[i].Start.Sub(Noon)))
		rules = append(rules, seeds[i].Rule)
	}
	for _, p := range tr.players {
		p.dec = ratelimit.Decision{}
		p.err = p.store.Seed(context.Background(), tr.group, seeds)
	}
	said := "seed " + strings.Join(what, " and ")
	tr.past = append(tr.past, event{tr.clock.Now(), said, &ratelimit.Request{Rules: rules}, tr.players[0].said()})
	return tr.compare()
}

// lose has all stores lose everything, if all can.
func (tr *trace) lose() bool {
	for _, p := range tr.players {
		if _, ok := p.store.(loser); !ok {
			return false
		}
	}
	for _, p := range tr.players {
		p.store.(loser).Lose()
		p.dec, p.err = ratelimit.Decision{}, nil
	}
	tr.past = append(tr.past, event{tr.clock.Now(), "lost", &ratelimit.Request{Rules: tr.rules}, tr.players[0].said()})
	return true
}
