package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// at is a clock that stands still, so that the examples' output does.
func at(t time.Time) ratelimit.Option {
	return ratelimit.WithClock(func() time.Time { return t })
}

var march = time.Date(2026, time.March, 10, 9, 30, 0, 0, time.UTC)

func Example() {
	store := ratelimit.NewMemory(at(march))
	req := ratelimit.Request{
		Group: "customer 42",
		Cost:  1,
		Rules: []ratelimit.Rule{
			{Scope: "key", ID: "k1", Name: "per-minute", Limit: 3, Window: time.Minute},
			{Scope: "customer", ID: "42", Name: "per-hour", Limit: 100, Window: time.Hour},
		},
	}
	var dec ratelimit.Decision
	for range 4 {
		if err := store.Take(context.Background(), &req, &dec); err != nil {
			fmt.Println(err)
			return
		}
		tightest := dec.Tightest()
		fmt.Println(dec.Allowed, tightest.Rule.Name, tightest.Remaining, dec.RetryAfter().Round(time.Millisecond))
	}
	fmt.Println(dec.Results[1].Remaining, "left in the hour: the refused call spent nothing")
	// Output:
	// true per-minute 2 0s
	// true per-minute 1 0s
	// true per-minute 0 0s
	// false per-minute 0 1m20s
	// 97 left in the hour: the refused call spent nothing
}

func ExampleCalendar() {
	month := func(m time.Month) ratelimit.Period {
		return ratelimit.Period{
			Start: time.Date(2026, m, 1, 0, 0, 0, 0, time.UTC),
			End:   time.Date(2026, m+1, 1, 0, 0, 0, 0, time.UTC),
		}
	}
	quota := ratelimit.Rule{
		Scope: "customer", ID: "42", Name: "monthly", Limit: 10_000,
		Algorithm: ratelimit.FixedWindow,
		Calendar: &ratelimit.Calendar{
			Name: "month", Previous: month(time.February), Current: month(time.March), Next: month(time.April),
		},
	}
	store := ratelimit.NewMemory(at(march))
	req := ratelimit.Request{Group: "customer 42", Cost: 250, Rules: []ratelimit.Rule{quota}}
	var dec ratelimit.Decision
	if err := store.Take(context.Background(), &req, &dec); err != nil {
		fmt.Println(err)
		return
	}
	result := dec.Results[0]
	fmt.Println(result.Remaining, "left of", result.Rule.Limit)
	fmt.Println("more in", result.ResetAfter)
	// Output:
	// 9750 left of 10000
	// more in 518h30m0s
}

func ExampleDecision_Receipt() {
	store := ratelimit.NewMemory(at(march))
	tokens := ratelimit.Rule{Scope: "key", ID: "k1", Name: "tokens", Limit: 10_000, Window: time.Minute}
	req := ratelimit.Request{Group: "customer 42", Cost: 4000, Rules: []ratelimit.Rule{tokens}}
	var dec ratelimit.Decision
	if err := store.Take(context.Background(), &req, &dec); err != nil {
		fmt.Println(err)
		return
	}

	// The model answered in 1,500 tokens: the rest is given back, once.
	receipt := dec.Receipt(req.Group)
	fmt.Println(store.Refund(context.Background(), receipt, 2500))
	fmt.Println(store.Refund(context.Background(), receipt, 2500))

	req.Cost = 0 // look
	if err := store.Take(context.Background(), &req, &dec); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(dec.Results[0].Remaining)
	// Output:
	// <nil>
	// already refunded
	// 8500
}

// A quota whose count is on record elsewhere survives the loss of the store.
func ExampleSeeding() {
	day := func(d int) ratelimit.Period {
		start := time.Date(2026, time.March, d, 0, 0, 0, 0, time.UTC)
		return ratelimit.Period{Start: start, End: start.AddDate(0, 0, 1)}
	}
	quota := ratelimit.Rule{
		Scope: "customer", ID: "42", Name: "daily", Limit: 1000, Algorithm: ratelimit.FixedWindow, Durable: true,
		Calendar: &ratelimit.Calendar{Name: "day", Previous: day(9), Current: day(10), Next: day(11)},
	}
	onRecord := func(*ratelimit.Rule, time.Time) int64 { return 640 }

	store := ratelimit.NewMemory(at(march))
	req := ratelimit.Request{Group: "customer 42", Cost: 1, Rules: []ratelimit.Rule{quota}}
	var dec ratelimit.Decision
	err := store.Take(context.Background(), &req, &dec)
	fmt.Println(err)
	var unseeded *ratelimit.UnseededError
	if errors.As(err, &unseeded) {
		var seeds []ratelimit.Seeding
		for i, index := range unseeded.Rules {
			rule, start := &req.Rules[index], unseeded.Starts[i]
			seeds = append(seeds, ratelimit.Seeding{Rule: *rule, Start: start, Used: onRecord(rule, start)})
		}
		if err = store.Seed(context.Background(), req.Group, seeds); err == nil {
			err = store.Take(context.Background(), &req, &dec)
		}
	}
	fmt.Println(err, dec.Allowed, dec.Results[0].Remaining)
	// Output:
	// rules [0]: counter not seeded
	// <nil> true 359
}

func ExampleRule_shadow() {
	store := ratelimit.NewMemory(at(march))
	trial := ratelimit.Rule{Scope: "key", ID: "k1", Name: "trial", Limit: 1, Window: time.Minute, Shadow: true}
	req := ratelimit.Request{Group: "customer 42", Cost: 1, Rules: []ratelimit.Rule{trial}}
	var dec ratelimit.Decision
	for range 2 {
		if err := store.Take(context.Background(), &req, &dec); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(dec.Allowed, dec.Results[0].WouldDeny)
	}
	// Output:
	// true false
	// true true
}
