package middleware

import (
	"context"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Limiter counts failures; [ratelimit.Store] is one.
type Limiter interface {
	Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) error
}

// FailureLimit bounds the failed authentications of one address. An IPv6
// client has a whole /64, which counts as one address.
type FailureLimit struct {
	Limit  int64
	Window time.Duration
}

// failures keeps an address from trying tokens: beyond the limit its tokens
// are not looked at any more, whatever they are.
//
// Two things bound what that costs the honest. Only failures count. And a
// token this process has accepted before is always looked at, so that nobody
// behind the address of an attacker, or of a client with a stale token, is
// locked out while at work. (Guessing a token is hopeless at any speed: the
// limit spares the database and the log.)
type failures struct {
	limiter Limiter
	limit   FailureLimit
	// accepted is replaced, never changed: it is read by every request.
	accepted atomic.Pointer[map[apikey.Hash]struct{}]
}

// maxAccepted bounds the tokens remembered; past it they are learnt anew.
const maxAccepted = 4096

func newFailures(limiter Limiter, limit FailureLimit) *failures {
	f := &failures{limiter: limiter, limit: limit}
	f.accepted.Store(&map[apikey.Hash]struct{}{})
	return f
}

// admit refuses a token that an address over its limit presents.
func (f *failures) admit(ctx context.Context, ip netip.Addr, token apikey.Hash) error {
	if _, ok := (*f.accepted.Load())[token]; ok {
		return nil
	}
	result, ok := f.take(ctx, ip, 0)
	if !ok || result.Remaining > 0 {
		return nil
	}
	e := apierror.New(apierror.CodeRateLimited, "Too many failed authentications from this address")
	e.RetryAfter = result.ResetAfter
	return e
}

func (f *failures) count(ctx context.Context, ip netip.Addr) { f.take(ctx, ip, 1) }

func (f *failures) trust(token apikey.Hash) {
	for {
		known := f.accepted.Load()
		if _, ok := (*known)[token]; ok {
			return
		}
		next := map[apikey.Hash]struct{}{token: {}}
		if len(*known) < maxAccepted {
			maps.Copy(next, *known)
		}
		if f.accepted.CompareAndSwap(known, &next) {
			return
		}
	}
}

// take counts in memory. Where that has no room, it says so: a full table must
// not lock everyone out.
func (f *failures) take(ctx context.Context, ip netip.Addr, cost int64) (result ratelimit.Result, ok bool) {
	id := ip.String()
	if ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			id = network.String()
		}
	}
	var dec ratelimit.Decision
	err := f.limiter.Take(ctx, &ratelimit.Request{
		Group: "authentication:" + id, Cost: cost,
		Rules: []ratelimit.Rule{{Scope: "ip", ID: id, Name: "failed-authentications", Limit: f.limit.Limit, Window: f.limit.Window}},
	}, &dec)
	if err != nil || len(dec.Results) != 1 {
		return ratelimit.Result{}, false
	}
	return dec.Results[0], true
}
