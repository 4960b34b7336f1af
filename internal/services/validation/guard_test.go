package validation_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

const (
	timeout  = 50 * time.Millisecond
	failures = 3
	openFor  = time.Second
)

// remote is a limit store across a network that a test can break.
type remote struct {
	ratelimit.Store
	mu    sync.Mutex
	fault func(ctx context.Context) error // nil: the store answers
	takes atomic.Int64
}

func (r *remote) breakWith(fault func(ctx context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = fault
}

func (r *remote) broken(ctx context.Context) error {
	r.mu.Lock()
	fault := r.fault
	r.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(ctx)
}

func (r *remote) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) error {
	r.takes.Add(1)
	if err := r.broken(ctx); err != nil {
		return err
	}
	return r.Store.Take(ctx, req, dec)
}

func (r *remote) Reset(ctx context.Context, group string, rules []ratelimit.Rule) error {
	if err := r.broken(ctx); err != nil {
		return err
	}
	return r.Store.Reset(ctx, group, rules)
}

// silent never answers.
func silent(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("read: %w: %w", ratelimit.ErrUnavailable, ctx.Err())
}

func refusing(context.Context) error { return fmt.Errorf("dial: %w", ratelimit.ErrUnavailable) }

// guarded is a Guard in a bubble of its own time.
type guarded struct {
	*validation.Guard
	remote  *remote
	local   *ratelimit.Memory
	changes []bool
}

func newGuarded(policy validation.Policy) *guarded {
	g := &guarded{remote: &remote{Store: ratelimit.NewMemory()}, local: ratelimit.NewMemory()}
	g.Guard = validation.NewGuard(g.remote, g.local, validation.GuardOptions{
		Policy: policy, Timeout: timeout, Failures: failures, OpenFor: openFor,
		OnChange: func(reachable bool) { g.changes = append(g.changes, reachable) },
	})
	return g
}

func request(cost, limit int64) *ratelimit.Request {
	return &ratelimit.Request{Group: "owner", Cost: cost, Rules: []ratelimit.Rule{
		{Scope: "owner", ID: "owner", Name: "hourly", Algorithm: ratelimit.FixedWindow, Limit: limit, Window: time.Hour},
	}}
}

// take spends one of ten, and tells how long that took.
func (g *guarded) take(t *testing.T) (dec ratelimit.Decision, degraded bool, waited time.Duration) {
	t.Helper()
	began := time.Now()
	degraded, err := g.Take(t.Context(), request(1, 10), &dec)
	if err != nil {
		t.Error(err) // also in goroutines of a test
	}
	return dec, degraded, time.Since(began)
}

func TestGuardPassesAnswersOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(validation.PolicyDeny)
		for want := int64(9); want >= 0; want-- {
			dec, degraded, _ := g.take(t)
			require.True(t, dec.Allowed)
			require.False(t, degraded)
			require.Equal(t, want, dec.Results[0].Remaining)
		}
		dec, degraded, _ := g.take(t)
		require.False(t, dec.Allowed)
		require.False(t, degraded, "a refusal is an answer")
		require.Empty(t, g.changes)
	})
}

func TestBreakerOpensProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(validation.PolicyLocal)
		g.remote.breakWith(silent)
		for range failures {
			_, degraded, waited := g.take(t)
			require.True(t, degraded)
			require.Equal(t, timeout, waited, "no call waits longer for the store")
		}
		require.Equal(t, []bool{false}, g.changes)

		for range 100 {
			_, degraded, waited := g.take(t)
			require.True(t, degraded)
			require.Zero(t, waited, "no call waits while the breaker is open")
		}
		require.EqualValues(t, failures, g.remote.takes.Load())

		time.Sleep(openFor + 1)
		var others sync.WaitGroup
		for range 20 {
			others.Go(func() { g.take(t) })
		}
		others.Wait()
		require.EqualValues(t, failures+1, g.remote.takes.Load(), "one call tries the store")
		_, degraded, waited := g.take(t)
		require.True(t, degraded)
		require.Zero(t, waited, "it failed: open again")
		require.Equal(t, []bool{false}, g.changes, "nothing new to tell")

		g.remote.breakWith(nil)
		time.Sleep(openFor + 1)
		dec, degraded, _ := g.take(t)
		require.False(t, degraded)
		require.True(t, dec.Allowed)
		require.Equal(t, []bool{false, true}, g.changes)
		_, degraded, _ = g.take(t)
		require.False(t, degraded)
	})
}

func TestManyCallsWaitTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(validation.PolicyLocal)
		g.remote.breakWith(silent)
		began := time.Now()
		var admitted atomic.Int64
		var calls sync.WaitGroup
		for range 64 {
			calls.Go(func() {
				dec, degraded, waited := g.take(t)
				if !degraded || waited > timeout {
					t.Errorf("degraded %t after %s", degraded, waited)
				}
				if dec.Allowed {
					admitted.Add(1)
				}
			})
		}
		calls.Wait()
		require.Equal(t, timeout, time.Since(began))
		require.EqualValues(t, 10, admitted.Load(), "this node enforces the limit alone, exactly")
	})
}

func TestPolicies(t *testing.T) {
	tests := []struct {
		policy  validation.Policy
		allowed [3]bool
		results int
	}{
		{validation.PolicyLocal, [3]bool{true, true, false}, 1},
		{validation.PolicyDeny, [3]bool{false, false, false}, 0},
		{validation.PolicyAllow, [3]bool{true, true, true}, 0},
	}
	for _, test := range tests {
		t.Run(string(test.policy), func(t *testing.T) {
			g := newGuarded(test.policy)
			g.remote.breakWith(refusing)
			dec := ratelimit.Decision{Allowed: true, Replayed: true, Results: make([]ratelimit.Result, 5)}
			for i, want := range test.allowed {
				degraded, err := g.Take(t.Context(), request(1, 2), &dec)
				require.NoError(t, err)
				require.True(t, degraded)
				require.Equal(t, want, dec.Allowed, i)
				require.Len(t, dec.Results, test.results, "nothing is left of an older decision")
				require.False(t, dec.Replayed)
				require.EqualValues(t, 1, dec.Cost)
			}
		})
	}
}

func TestRefusalForWantOfAStoreTellsWhenToRetry(t *testing.T) {
	w := newWorld(t)
	w.limits.Store = &remote{fault: refusing}
	key := w.key(t, "owner", nil, perMinute(10))
	service := func(policy validation.Policy) *validation.Service {
		guard := validation.NewGuard(w.limits.Store, ratelimit.NewMemory(), validation.GuardOptions{
			Policy: policy, Timeout: timeout, Failures: failures, OpenFor: openFor,
		})
		return validation.New(validation.Deps{Keys: w.keys, Limits: guard, Stated: guard, Now: w.clock.Now})
	}
	a, err := service(validation.PolicyDeny).Validate(t.Context(), &validation.Check{APIKey: key, Cost: 1})
	require.NoError(t, err)
	require.Equal(t, validation.RateLimited, a.Code)
	require.True(t, a.Degraded)
	require.Equal(t, time.Second, a.RetryAfter)
	require.Equal(t, w.clock.Now(), a.At)
	require.Equal(t, -1, a.Tightest)

	a, err = service(validation.PolicyAllow).Validate(t.Context(), &validation.Check{APIKey: key, Cost: 1})
	require.NoError(t, err)
	require.Equal(t, validation.OK, a.Code)
	require.True(t, a.Degraded)
	require.Zero(t, a.RetryAfter)
}

func TestCallersThatGoAwayDoNotOpenTheBreaker(t *testing.T) {
	tests := map[string]func(t *testing.T) (context.Context, context.CancelFunc){
		"canceled": func(t *testing.T) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(timeout/2, cancel)
			return ctx, cancel
		},
		"out of time": func(t *testing.T) (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), timeout/2)
		},
	}
	for name, leave := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuarded(validation.PolicyLocal)
				slow := func(ctx context.Context) error {
					select {
					case <-time.After(timeout - 1):
						return nil
					case <-ctx.Done():
						return fmt.Errorf("read: %w: %w", ratelimit.ErrUnavailable, ctx.Err())
					}
				}
				g.remote.breakWith(slow)
				impatient := func() {
					ctx, cancel := leave(t)
					defer cancel()
					degraded, err := g.Take(ctx, request(1, 10), new(ratelimit.Decision))
					require.ErrorIs(t, err, ctx.Err())
					require.False(t, degraded, "there is nobody to answer")
				}
				for range 10 * failures {
					impatient()
				}
				_, degraded, _ := g.take(t)
				require.False(t, degraded)
				require.Empty(t, g.changes)

				g.remote.breakWith(refusing)
				for range failures {
					g.take(t)
				}
				g.remote.breakWith(slow)
				time.Sleep(openFor + 1)
				impatient()
				_, degraded, _ = g.take(t)
				require.False(t, degraded, "a trial whose caller left is tried again")
				require.Equal(t, []bool{false, true}, g.changes)
			})
		})
	}
}

func TestWhatTheStoreSaysDoesNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, said := range []error{ratelimit.ErrIDConflict, &ratelimit.InvalidError{Field: "Cost"}} {
			g := newGuarded(validation.PolicyLocal)
			g.remote.breakWith(func(context.Context) error { return said })
			for range 10 * failures {
				degraded, err := g.Take(t.Context(), request(1, 10), new(ratelimit.Decision))
				require.ErrorIs(t, err, said)
				require.False(t, degraded)
			}
			require.Empty(t, g.changes)
		}
	})
}

func TestAnAnswerEndsARowOfFailures(t *testing.T) {
	answers := map[string]error{"admitted": nil, "conflict": ratelimit.ErrIDConflict, "full": ratelimit.ErrFull}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(validation.PolicyAllow)
			for range 3 {
				g.remote.breakWith(refusing)
				for range failures - 1 {
					g.take(t)
				}
				g.remote.breakWith(func(context.Context) error { return answer })
				_, err := g.Take(t.Context(), request(1, 10), new(ratelimit.Decision))
				require.Equal(t, errors.Is(answer, ratelimit.ErrIDConflict), err != nil)
			}
			require.Empty(t, g.changes)
		})
	}
}

func TestAFullStoreIsOneThatFails(t *testing.T) {
	g := newGuarded(validation.PolicyLocal)
	g.remote.breakWith(func(context.Context) error { return ratelimit.ErrFull })
	for range 2 * failures {
		_, degraded, _ := g.take(t)
		require.True(t, degraded)
	}
	require.EqualValues(t, 2*failures, g.remote.takes.Load(), "it answers: the breaker stays closed")
	require.Empty(t, g.changes)
}

func TestLocalLimitsCanBeFullToo(t *testing.T) {
	local := ratelimit.NewMemory(ratelimit.WithMaxEntries(1))
	g := validation.NewGuard(&remote{fault: refusing}, local, validation.GuardOptions{
		Policy: validation.PolicyLocal, Timeout: timeout, Failures: failures, OpenFor: openFor,
	})
	degraded, err := g.Take(t.Context(), request(1, 10), new(ratelimit.Decision))
	require.NoError(t, err)
	require.True(t, degraded)
	other := request(1, 10)
	other.Group = "another"
	_, err = g.Take(t.Context(), other, new(ratelimit.Decision))
	require.ErrorIs(t, err, ratelimit.ErrFull)
}

func TestOneBreakerGuardsAllThatIsKeptInAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(validation.PolicyLocal)
		stated := g.WithLocal(ratelimit.NewMemory(ratelimit.WithMaxEntries(1)))
		take := func(group string) (degraded bool, err error) {
			req := request(1, 10)
			req.Group = group
			return stated.Take(t.Context(), req, new(ratelimit.Decision))
		}
		degraded, err := take("one")
		require.NoError(t, err)
		require.False(t, degraded)

		g.remote.breakWith(silent)
		for range failures {
			g.take(t)
		}
		began := time.Now()
		degraded, err = take("one")
		require.NoError(t, err)
		require.True(t, degraded)
		require.Zero(t, time.Since(began), "what one found out, the other knows")
		_, err = take("another")
		require.ErrorIs(t, err, ratelimit.ErrFull)
		dec, degraded, _ := g.take(t)
		require.True(t, degraded)
		require.True(t, dec.Allowed)
		require.EqualValues(t, 6, dec.Results[0].Remaining, "each has its own counters on this node")

		g.remote.breakWith(nil)
		time.Sleep(openFor + 1)
		degraded, err = take("another")
		require.NoError(t, err)
		require.False(t, degraded)
		require.Equal(t, []bool{false, true}, g.changes)
	})
}

func TestEveryAlgorithmIsEnforcedOnThisNodeAlone(t *testing.T) {
	for _, algorithm := range []ratelimit.Algorithm{
		ratelimit.SlidingWindow, ratelimit.FixedWindow, ratelimit.GCRA, ratelimit.SlidingLog,
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newGuarded(validation.PolicyLocal)
			g.remote.breakWith(refusing)
			req := request(4, 10)
			req.Rules[0].Algorithm = algorithm
			take := func() bool {
				var dec ratelimit.Decision
				degraded, err := g.Take(t.Context(), req, &dec)
				require.NoError(t, err)
				require.True(t, degraded)
				return dec.Allowed
			}
			require.True(t, take(), algorithm)
			require.True(t, take(), algorithm)
			require.False(t, take(), algorithm)

			g.remote.breakWith(nil)
			require.NoError(t, g.Reset(t.Context(), req.Group, req.Rules))
			g.remote.breakWith(refusing)
			require.True(t, take(), "%s, after a reset", algorithm)
		})
	}
}

func TestResetForgetsEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(validation.PolicyLocal)
		spend := request(10, 10)
		for _, store := range []ratelimit.Store{g.remote.Store, g.local} {
			require.NoError(t, store.Take(t.Context(), spend, new(ratelimit.Decision)))
		}
		require.NoError(t, g.Reset(t.Context(), "owner", spend.Rules))
		for _, store := range []ratelimit.Store{g.remote.Store, g.local} {
			var dec ratelimit.Decision
			require.NoError(t, store.Take(t.Context(), request(0, 10), &dec))
			require.EqualValues(t, 10, dec.Results[0].Remaining)
		}

		g.remote.breakWith(silent)
		began := time.Now()
		failed(t, g.Reset(t.Context(), "owner", spend.Rules), apierror.CodeStoreUnavailable)
		require.Equal(t, timeout, time.Since(began))
		broken := errors.New("broken")
		g.remote.breakWith(func(context.Context) error { return broken })
		require.ErrorIs(t, g.Reset(t.Context(), "owner", spend.Rules), broken)
		require.ErrorIs(t, g.Reset(t.Context(), "", spend.Rules), ratelimit.ErrInvalid)
	})
}

func TestEmbeddedIsNeverDegraded(t *testing.T) {
	limits := validation.Embedded{Store: ratelimit.NewMemory()}
	var dec ratelimit.Decision
	degraded, err := limits.Take(t.Context(), request(1, 1), &dec)
	require.NoError(t, err)
	require.False(t, degraded)
	require.True(t, dec.Allowed)
}

func TestAFullTableFollowsThePolicy(t *testing.T) {
	for policy, want := range map[validation.Policy]bool{validation.PolicyAllow: true, validation.PolicyDeny: false} {
		limits := validation.Embedded{Store: ratelimit.NewMemory(ratelimit.WithMaxEntries(1)), Policy: policy}
		var dec ratelimit.Decision
		_, err := limits.Take(t.Context(), request(1, 1), &dec)
		require.NoError(t, err)
		other := request(1, 1)
		other.Group = "another"
		degraded, err := limits.Take(t.Context(), other, &dec)
		require.NoError(t, err)
		require.True(t, degraded)
		require.Equal(t, want, dec.Allowed, policy)
	}
}
