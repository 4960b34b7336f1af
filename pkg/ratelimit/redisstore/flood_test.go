package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/redisstore"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

// everyAlgorithm is a rule of each. By a clock that stands still they all just add up.
func everyAlgorithm(scope, id string, limit int64) []ratelimit.Rule {
	var rules []ratelimit.Rule
	for _, algorithm := range []ratelimit.Algorithm{
		ratelimit.SlidingWindow, ratelimit.FixedWindow, ratelimit.GCRA, ratelimit.SlidingLog,
	} {
		rules = append(rules, ratelimit.Rule{
			Scope: scope, ID: id, Name: algorithm.String(), Algorithm: algorithm, Limit: limit, Window: time.Hour,
		})
	}
	return rules
}

// still makes a store decide by a clock that stands still.
func still() redisstore.Option { return redisstore.WithClock(storetest.NewClock().Now) }

// spent is what was spent from each of the rules.
func spent(t *testing.T, store ratelimit.Store, group string, rules []ratelimit.Rule) []int64 {
	t.Helper()
	look := take(t, store, &ratelimit.Request{Group: group, Rules: rules})
	units := make([]int64, len(rules))
	for i, r := range look.Results {
		units[i] = rules[i].Limit - r.Remaining
	}
	return units
}

// An account is a group of its own with one limit, which it has under every algorithm.
type account struct {
	req             ratelimit.Request
	limit           int64
	allowed, failed atomic.Int64
	full            atomic.Bool // refused a unit
}

func newAccounts(n int, limit int64) []*account {
	accounts := make([]*account, n)
	for i := range accounts {
		name := fmt.Sprint("account ", i)
		req := ratelimit.Request{Group: name, Cost: 1, Rules: everyAlgorithm("owner", name, limit)}
		accounts[i] = &account{limit: limit, req: req}
	}
	return accounts
}

// spent is what was spent from the account, by each algorithm the same.
func (a *account) spent(t *testing.T, store ratelimit.Store) int64 {
	t.Helper()
	units := spent(t, store, a.req.Group, a.req.Rules)
	for i := range units {
		require.Equal(t, units[0], units[i], "all rules or none")
	}
	return units[0]
}

const (
	floodGoroutines = 12

	// How late a take may come back after its deadline. It has nothing to wait for then but a processor.
	slack = 2 * time.Second
)

// A flood takes units one by one from accounts at random, until each has refused one.
type flood struct {
	store    ratelimit.Store
	accounts []*account
	timeout  time.Duration // of each take
	over     chan struct{}

	mu    sync.Mutex
	wrong []error
}

// startFlood has ended when the test has.
func startFlood(t *testing.T, store ratelimit.Store, timeout time.Duration, accounts []*account) *flood {
	f := &flood{store: store, accounts: accounts, timeout: timeout, over: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for g := range floodGoroutines {
		all.Go(func() { f.run(ctx, rand.New(rand.NewPCG(uint64(g), 0))) })
	}
	go func() {
		all.Wait()
		close(f.over)
	}()
	t.Cleanup(func() {
		cancel()
		<-f.over
	})
	return f
}

func (f *flood) run(ctx context.Context, draw *rand.Rand) {
	var dec ratelimit.Decision
	for ctx.Err() == nil {
		a := f.pick(draw)
		if a == nil {
			return
		}
		if err := f.take(ctx, a, &dec); err != nil {
			f.mu.Lock()
			f.wrong = append(f.wrong, err)
			f.mu.Unlock()
			return
		}
	}
}

// pick is an account that has not refused yet.
func (f *flood) pick(draw *rand.Rand) *account {
	first := draw.IntN(len(f.accounts))
	for i := range f.accounts {
		if a := f.accounts[(first+i)%len(f.accounts)]; !a.full.Load() {
			return a
		}
	}
	return nil
}

func (f *flood) take(ctx context.Context, a *account, dec *ratelimit.Decision) error {
	limited, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	begun := time.Now()
	err := f.store.Take(limited, &a.req, dec)
	switch took := time.Since(begun); {
	case took > f.timeout+slack:
		return fmt.Errorf("a take with %v took %v: %w", f.timeout, took, err)
	case err == nil && dec.Allowed:
		a.allowed.Add(1)
	case err == nil:
		a.full.Store(true)
	case errors.Is(err, ratelimit.ErrUnavailable):
		a.failed.Add(1)
	case !errors.Is(err, limited.Err()): // it may be over before it begins, on a busy machine
		return err
	}
	return nil
}

// least is the number of units that each account has admitted by now.
func (f *flood) least() int64 {
	least := f.accounts[0].allowed.Load()
	for _, a := range f.accounts {
		least = min(least, a.allowed.Load())
	}
	return least
}

// await returns when the flood is over.
func (f *flood) await(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case <-f.over:
	case <-time.After(within):
		for _, a := range f.accounts {
			if !a.full.Load() {
				t.Logf("%s: %d allowed, %d failed, none refused", a.req.Group, a.allowed.Load(), a.failed.Load())
			}
		}
		require.FailNow(t, "service has not resumed", "after %v", within)
	}
	require.NoError(t, errors.Join(f.wrong...))
}
