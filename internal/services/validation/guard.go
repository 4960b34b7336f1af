package validation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Policy says how checks are decided while the shared limit store is out of
// reach.
type Policy string

// The policies of a [Guard].
const (
	PolicyLocal Policy = "local" // this node enforces the limits alone
	PolicyDeny  Policy = "deny"  // refuse
	PolicyAllow Policy = "allow" // admit
)

// Failure says why a take did without the shared store.
type Failure string

// The failures of the shared store.
const (
	FailureTimeout     Failure = "timeout"      // it gave no answer in time
	FailureError       Failure = "error"        // it could not be reached, or failed
	FailureBreakerOpen Failure = "breaker_open" // it was not asked, for it had failed
	FailureFull        Failure = "full"         // it had no room
)

// Failures lists them.
var Failures = []Failure{FailureTimeout, FailureError, FailureBreakerOpen, FailureFull}

// failureOf is empty for what is no failure of the store.
func failureOf(err error) Failure {
	switch {
	case !unreachable(err):
		return ""
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return FailureBreakerOpen
	case errors.Is(err, ratelimit.ErrFull):
		return FailureFull
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return FailureTimeout
	}
	return FailureError
}

// GuardOptions tunes a Guard.
type GuardOptions struct {
	Policy  Policy
	Timeout time.Duration // how long one call may wait for the store
	// Failures in a row open the breaker: for OpenFor no call waits for the
	// store, then one tries it.
	Failures int
	OpenFor  time.Duration
	// OnChange is told when the store goes out of reach and comes back. Calls
	// wait for it: it must return at once, and not use the Guard.
	OnChange func(reachable bool)
	// OnTake is told how long each take from the store lasted, and why it did
	// without the store, if so. Calls wait for it too. Now is its clock, the time
	// of day where nil.
	OnTake func(took time.Duration, failure Failure)
	Now    func() time.Time
}

// Guard takes from a limit store across a network, and keeps checks answered
// within a bounded time while it is out of reach. It is safe for concurrent
// use.
type Guard struct {
	shared  ratelimit.Store
	local   ratelimit.Store
	options GuardOptions
	breaker *gobreaker.CircuitBreaker[struct{}]
}

// NewGuard guards the shared store; local takes its place under PolicyLocal.
func NewGuard(shared, local ratelimit.Store, o GuardOptions) *Guard {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Guard{shared: shared, local: local, options: o, breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "limits",
		Timeout:      o.OpenFor,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= o.Failures },
		IsSuccessful: answered,
		// A caller that went away and a malformed request say nothing about the
		// store.
		IsExcluded: func(err error) bool { return !answered(err) && !errors.Is(err, ratelimit.ErrUnavailable) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			if o.OnChange != nil && (to == gobreaker.StateClosed || from == gobreaker.StateClosed) {
				o.OnChange(to == gobreaker.StateClosed)
			}
		},
	})}
}

// WithLocal gives a Guard of the same shared store, with which it finds out
// together whether that is in reach, and of another store on this node.
func (g *Guard) WithLocal(local ratelimit.Store) *Guard {
	return &Guard{shared: g.shared, local: local, options: g.options, breaker: g.breaker}
}

// answered tells whether an error, or nil, is what the store itself said.
func answered(err error) bool {
	return err == nil || errors.Is(err, ratelimit.ErrIDConflict) || errors.Is(err, ratelimit.ErrFull) ||
		errors.Is(err, ratelimit.ErrUnseeded)
}

// Take takes from the shared store or, where that gives no answer in time or
// has no room, as the policy says: degraded is then true.
func (g *Guard) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) (degraded bool, err error) {
	var began time.Time
	if g.options.OnTake != nil {
		began = g.options.Now()
	}
	_, err = g.breaker.Execute(func() (struct{}, error) {
		bounded, cancel := context.WithTimeout(ctx, g.options.Timeout)
		defer cancel()
		err := g.shared.Take(bounded, req, dec)
		if err != nil && ctx.Err() != nil {
			err = ctx.Err() // the caller's doing, not the store's
		}
		return struct{}{}, err
	})
	if g.options.OnTake != nil {
		g.options.OnTake(g.options.Now().Sub(began), failureOf(err))
	}
	if !unreachable(err) {
		return false, err
	}
	if g.options.Policy == PolicyLocal {
		if err := g.local.Take(ctx, req, dec); err != nil {
			return true, fmt.Errorf("take from this node's own limits: %w", err)
		}
		return true, nil
	}
	g.options.Policy.decide(req, dec)
	return true, nil
}

// decide answers without a store.
func (p Policy) decide(req *ratelimit.Request, dec *ratelimit.Decision) {
	*dec = ratelimit.Decision{Allowed: p == PolicyAllow, Cost: req.Cost, Results: dec.Results[:0]}
}

// Reset forgets counters in the shared store, and on this node.
func (g *Guard) Reset(ctx context.Context, group string, rules []ratelimit.Rule) error {
	if err := g.local.Reset(ctx, group, rules); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, g.options.Timeout)
	defer cancel()
	err := g.shared.Reset(bounded, group, rules)
	if errors.Is(err, ratelimit.ErrUnavailable) {
		return apierror.New(apierror.CodeStoreUnavailable, "The limit store gave no answer: reset again").Wrap(err)
	}
	return err
}

// Seed raises counters of the shared store or, where local is true, of this
// node's own.
func (g *Guard) Seed(ctx context.Context, group string, seeds []ratelimit.Seeding, local bool) error {
	if local {
		return g.local.Seed(ctx, group, seeds)
	}
	bounded, cancel := context.WithTimeout(ctx, g.options.Timeout)
	defer cancel()
	return g.shared.Seed(bounded, group, seeds)
}

// Refund settles what a take spent from the shared store.
func (g *Guard) Refund(ctx context.Context, receipt ratelimit.Receipt, units int64) error {
	bounded, cancel := context.WithTimeout(ctx, g.options.Timeout)
	defer cancel()
	return g.shared.Refund(bounded, receipt, units)
}

// unreachable tells whether a take has to do without the shared store.
func unreachable(err error) bool {
	return errors.Is(err, ratelimit.ErrUnavailable) || errors.Is(err, ratelimit.ErrFull) ||
		errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

// Embedded takes from a limit store in this process, which is always in reach.
type Embedded struct {
	ratelimit.Store
	// Policy says what becomes of a check for which a full store has no room;
	// under PolicyLocal, it cannot be decided.
	Policy Policy
}

// Seed raises counters.
func (e Embedded) Seed(ctx context.Context, group string, seeds []ratelimit.Seeding, _ bool) error {
	return e.Store.Seed(ctx, group, seeds)
}

// Take takes from the store; degraded tells that it had no room.
func (e Embedded) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) (degraded bool, err error) {
	err = e.Store.Take(ctx, req, dec)
	if errors.Is(err, ratelimit.ErrFull) && (e.Policy == PolicyAllow || e.Policy == PolicyDeny) {
		e.Policy.decide(req, dec)
		return true, nil
	}
	return false, err
}
