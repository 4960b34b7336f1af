package storetest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestModelIsLinearizable(t *testing.T) {
	for seed := range uint64(50) {
		clock := NewClock()
		require.NoError(t, History(seed, false, NewModel(clock.Now)))
	}
}

// A hasty store looks whether there is room and then spends: right for a lone caller.
type hasty struct{ ratelimit.Store }

func (s hasty) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) error {
	look := *req
	look.Cost = 0
	if req.ID != "" || req.Cost == 0 || s.Store.Take(ctx, &look, dec) != nil {
		return s.Store.Take(ctx, req, dec)
	}
	for _, r := range dec.Results {
		if r.Remaining < req.Cost {
			return s.Store.Take(ctx, req, dec)
		}
	}
	runtime.Gosched()
	spend := *req
	spend.Rules = slices.Clone(req.Rules)
	for i := range spend.Rules { // which have room, so it thinks
		spend.Rules[i].Limit += 1000
		if spend.Rules[i].Burst > 0 {
			spend.Rules[i].Limit -= 1000
			spend.Rules[i].Burst += 1000
		}
	}
	var spent ratelimit.Decision
	err := errors.Join(s.Store.Take(ctx, &spend, &spent), s.Store.Take(ctx, &look, dec))
	dec.Allowed, dec.Cost, dec.Nonce = true, req.Cost, spent.Nonce
	return err
}

// A forgetful store forgets one counter after the other: right for a lone caller.
type forgetful struct{ ratelimit.Store }

func (s forgetful) Reset(ctx context.Context, group string, rules []ratelimit.Rule) error {
	var failures []error
	for i := range rules {
		failures = append(failures, s.Store.Reset(ctx, group, rules[i:i+1]))
		runtime.Gosched()
	}
	return errors.Join(failures...)
}

// A sowing store seeds one counter after the other: right for a lone caller.
type sowing struct{ ratelimit.Store }

func (s sowing) Seed(ctx context.Context, group string, seeds []ratelimit.Seeding) error {
	var failures []error
	for i := range seeds {
		failures = append(failures, s.Store.Seed(ctx, group, seeds[i:i+1]))
		runtime.Gosched()
	}
	return errors.Join(failures...)
}

// A greedy store spends of refused calls what it can.
type greedy struct{ ratelimit.Store }

func (s greedy) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) error {
	err := s.Store.Take(ctx, req, dec)
	if err != nil || dec.Allowed {
		return err
	}
	for i := range req.Rules {
		one := ratelimit.Request{Group: req.Group, Cost: req.Cost, Rules: req.Rules[i : i+1]}
		err = errors.Join(err, s.Store.Take(ctx, &one, new(ratelimit.Decision)))
	}
	return err
}

// A dreamy store now and then answers a look with what an earlier call was answered: with what was true once.
type dreamy struct {
	ratelimit.Store
	earlier chan ratelimit.Decision
}

func (s dreamy) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) error {
	err := s.Store.Take(ctx, req, dec)
	if err != nil || req.Cost != 0 || len(req.Rules) != 1 {
		return err
	}
	now := *dec
	now.Results = slices.Clone(dec.Results)
	select {
	case was := <-s.earlier:
		if was.Results[0].Rule.Name == req.Rules[0].Name {
			*dec = was
		}
	default:
	}
	select {
	case s.earlier <- now:
	default:
	}
	return nil
}

func TestHistoriesOfBrokenStoresAreFoundOut(t *testing.T) {
	for name, c := range map[string]struct {
		broken func(ratelimit.Store) ratelimit.Store
		alone  bool // may break for a lone caller too
	}{
		"hasty":     {func(s ratelimit.Store) ratelimit.Store { return hasty{s} }, false},
		"forgetful": {func(s ratelimit.Store) ratelimit.Store { return forgetful{s} }, false},
		"sowing":    {func(s ratelimit.Store) ratelimit.Store { return sowing{s} }, false},
		"greedy":    {func(s ratelimit.Store) ratelimit.Store { return greedy{s} }, true},
		"dreamy": {func(s ratelimit.Store) ratelimit.Store {
			return dreamy{s, make(chan ratelimit.Decision, 1)}
		}, true},
	} {
		found := func(callers int, within uint64) bool {
			for seed := range within {
				if play(seed, false, callers, c.broken(NewModel(NewClock().Now))) != nil {
					return true
				}
			}
			return false
		}
		require.True(t, c.alone || !found(1, 20), name)
		require.True(t, found(historyCallers, 500), name)
	}
}
