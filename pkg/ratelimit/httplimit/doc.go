// Package httplimit puts the limits of package ratelimit before an
// http.Handler. Floor F0; it imports package ratelimit and the standard library
// only. Package ginlimit is the same for Gin.
//
//	limiter, err := httplimit.New(ratelimit.NewMemory(), httplimit.Config{
//		Rules: []ratelimit.Rule{
//			{Scope: "api", Name: "per-second", Limit: 10, Window: time.Second},
//			{Scope: "api", Name: "per-hour", Limit: 1000, Window: time.Hour},
//		},
//	})
//	if err != nil {
//		return err
//	}
//	handler := limiter.Wrap(mux)
//
// Each client address now has 10 requests a second and 1000 an hour, decided
// together in one atomic step: a refused request spends nothing of either. With
// package redisstore in place of the memory store, all servers share the counts.
//
// # Keys
//
// The Key of a Config tells who is asking. ByIP, the default, takes the address
// of the connection and believes no header. ByForwardedFor is for servers behind
// proxies, ByHeader for API keys. Any other KeyFunc is a few lines: it should
// take the identity that an authentication before it has established.
//
// Addresses of IPv6 count by their /64 network. A site may hold a /56 or a /48:
// a rule on a wider network, or on everyone, belongs to a second Limiter.
//
// # Refusals
//
// A request that does not go on to the handler is answered with a problem of
// RFC 9457, unless Config.Refuse does otherwise:
//
//	status  code                because
//	429     rate_limited        a rule has no room; Retry-After says when it will
//	403     cost_exceeds_limit  the cost is above a limit, so that no waiting helps
//	400     unidentified        the Key is empty, or its error is ErrUnidentified
//	503     store_unavailable   the store failed, or is full
//	503     timeout             the request's context ended before the decision
//	500     internal            a function of the Config failed, or its rules or cost are invalid
//
// The first is of the type quota-exceeded of the draft named below, and lists
// the rules without room as violated-policies; retry_after_ms is the exact time
// where Retry-After has to be whole seconds. 403 and not 429 for what can never
// be admitted, because clients repeat a 429.
//
// With FailOpen, store_unavailable alone lets requests through: not what a
// client could bring about itself by hanging up, by a cost out of bounds or by
// saying nothing of who it is.
//
// The store has as long as the request's context and its own client give it: a
// client of Redis should have timeouts of a few tens of milliseconds.
//
// Config.Observe hears of every outcome, and of what shadow rules would have
// refused. Without it, failures are logged.
//
// # Headers
//
// Admissions and refusals alike carry, as draft-ietf-httpapi-ratelimit-headers-10
// has it, for each rule that is not a shadow:
//
//	RateLimit-Policy: "per-second";q=10;w=1, "per-hour";q=1000;w=3600
//	RateLimit: "per-second";r=4;t=1, "per-hour";r=412;t=6
//
// where t is the time until more can be spent. A policy has no w unless its
// window is whole seconds. Clients match the two by name, so the rules of a
// request should have different ones. A name beyond printable ASCII is
// percent-encoded.
//
// X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset, in seconds
// since 1970 by the store's clock, are those of the rule nearest its limit. Of a
// GCRA rule, q and X-RateLimit-Limit are the Burst, and w is the time in which
// it drains: q per w is the rate.
//
// All times are rounded up to whole seconds: who waits as told is not early. A
// Retry-After can be earlier than the t of a rule that has room, and is the one
// to obey.
//
// # Where it stands
//
// Put it behind what recovers from panics and answers CORS preflights, which
// carry no API key and must not be refused; scripts of other origins see the
// headers that Access-Control-Expose-Headers names. Put it behind authentication
// if that gives the key, and one by address before it: guessing must cost, too.
//
// Limiters can be stacked. Each spends on its own, so what an inner one refuses
// has been spent from an outer one; the headers of both are sent.
//
// The ResponseWriter is passed on as it is, so flushing, hijacking and the like
// work. HEAD and OPTIONS count as any request. What is spent stays spent,
// whatever the handler answers.
//
// # What it costs
//
// Beside what the store takes, an admission makes two allocations for its
// headers, and one for a key that is no part of the request. A refusal makes one
// more.
package httplimit
