package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/viva/rate-limiter/pkg/client"
)

// amount is a number of checks and what they cost.
type amount struct{ checks, units int64 }

func (a *amount) add(units int64) {
	a.checks++
	a.units += units
}

func (a amount) plus(b amount) amount { return amount{a.checks + b.checks, a.units + b.units} }

// counted is what the service says of a key.
type counted struct {
	usage amount           // what it adds up to
	rows  map[string]int64 // units by request id: each check that it kept
	twice []string         // request ids of several rows
}

// ask asks the service what it has counted.
func ask(ctx context.Context, s *server, key string) (counted, error) {
	c := counted{rows: map[string]int64{}}
	viva, err := s.client()
	if err != nil {
		return c, err
	}
	usage, err := viva.KeyUsage(ctx, key, client.UsageQuery{})
	if err != nil {
		return c, err
	}
	c.usage = amount{usage.Total.Requests, usage.Total.Units}
	for row, err := range viva.UsageLogs(ctx, client.UsageFilter{Key: key}, client.Page{Size: 1000}) {
		if err != nil {
			return c, err
		}
		if _, ok := c.rows[row.RequestID]; ok {
			c.twice = append(c.twice, row.RequestID)
		}
		c.rows[row.RequestID] += row.Units
	}
	return c, nil
}

// compare prints what was answered beside what was counted, and is an error
// where they do not agree.
func compare(calls []call, c counted) error {
	var answered, cut, cutCounted, lost amount
	wrong := 0
	unknown := len(c.rows)
	for _, call := range calls {
		units, ok := c.rows[call.id]
		if ok {
			unknown--
		}
		if ok && units != call.cost {
			wrong++
		}
		switch {
		case call.answered:
			answered.add(call.cost)
			if !ok {
				lost.add(call.cost)
			}
		default:
			cut.add(call.cost)
			if ok {
				cutCounted.add(call.cost)
			}
		}
	}
	want := answered.plus(cutCounted)
	line := func(what string, a amount) { fmt.Printf("%-46s %9d checks %10d units\n", what, a.checks, a.units) }
	line("answered", answered)
	line("in flight at a kill, and never answered", cut)
	line("  of these counted, as their ids are found", cutCounted)
	line("to be counted", want)
	line("counted, says GET /api/v1/keys/{id}/usage", c.usage)
	fmt.Println()

	var failures []error
	unless := func(ok bool, format string, args ...any) {
		if !ok {
			failures = append(failures, fmt.Errorf(format, args...))
		}
	}
	unless(answered.checks > 0, "nothing was answered")
	unless(lost.checks == 0, "%d answered checks of %d units are not found by their ids", lost.checks, lost.units)
	unless(len(c.twice) == 0, "%d checks were counted more than once, such as %.3q", len(c.twice), c.twice)
	unless(unknown == 0, "%d checks were counted that nobody asked", unknown)
	unless(wrong == 0, "%d checks were counted at another cost than they had", wrong)
	unless(c.usage == want, "counted are %d checks of %d units, and not %d of %d", c.usage.checks, c.usage.units, want.checks, want.units)
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("IT DOES NOT ADD UP:\n%w", err)
	}
	fmt.Printf("It adds up, to the unit: answered (%d) ≤ counted (%d) ≤ answered + in flight (%d),\n", answered.checks, c.usage.checks, answered.checks+cut.checks)
	fmt.Printf("each of the %d answered checks was found by its id, once, and nothing was counted that was not asked.\n", answered.checks)
	return nil
}
