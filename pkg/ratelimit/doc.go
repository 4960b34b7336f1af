// Package ratelimit decides whether a call may be made now, exactly: every limit
// on it in one atomic step, in integers, with the same answer from every store.
// It is usable on its own. Floor F0; it imports the standard library only.
//
// A Request asks to spend Cost units from the counters of its Rules. Either all
// of them have room and all are spent from, or the call is refused and nothing
// is: one client's refused calls never use up what it shares with another.
//
//	store := ratelimit.NewMemory()
//	req := ratelimit.Request{
//		Group: "customer 42",
//		Cost:  1,
//		Rules: []ratelimit.Rule{
//			{Scope: "key", ID: "k1", Name: "per-second", Limit: 10, Window: time.Second},
//			{Scope: "customer", ID: "42", Name: "per-hour", Limit: 1000, Window: time.Hour},
//		},
//	}
//	var dec ratelimit.Decision // reused from call to call, it costs no allocation
//	if err := store.Take(ctx, &req, &dec); err != nil {
//		// not decided
//	}
//	if !dec.Allowed {
//		// try again after dec.RetryAfter(), and not a tick earlier
//	}
//
// Memory keeps its counters in this process; package redisstore shares them
// between processes. Package storetest holds the contract that both keep.
//
// # Time
//
// The store's clock decides, and Decision.At is the instant it decided at. Time
// is counted in ticks: a microsecond for windows up to an hour, a millisecond
// for longer ones and for calendars. Windows are aligned to the Unix epoch.
//
// If the clock is behind the latest spending from a counter by up to one
// window, it is taken to stand still there. If it is further behind, what was
// counted is moved to the window the clock is in. Neither grants anything twice.
//
// # SlidingWindow
//
// The counter has two buckets, one for the current window of length W and one
// for the window before. At e ticks into the current one, the previous bucket
// still counts with the weight
//
//	w    = ⌈(W − e) · 2^20 / W⌉ / 2^20
//	used = ⌈prev · w⌉ + cur
//
// and cost is admitted if used ≤ limit − cost. This is the approximated sliding
// window that Cloudflare described in 2017
// (https://blog.cloudflare.com/counting-things-a-lot-of-different-things/),
// with a fixed-point weight in place of a float: the same in Go and in Lua, and
// exact to invert. With a = limit − cur − cost, the call is first admitted at
//
//	e = W − ⌊m · W / 2^20⌋, where m = min(2^20, ⌊a · 2^20 / prev⌋)
//
// and if a < 0 at that point of the next window, with prev = cur and
// a = limit − cost.
//
// It never admits more than limit in a window aligned to the epoch. It takes
// the previous bucket to be spread evenly; where it is not, a trailing window of
// length W can hold up to 2 · limit − 1 units: all of limit in the last tick of
// one window, and the rest one by one through the next. In the same way it may
// refuse what an exact log would admit. Steady traffic sees neither. Memory: one
// counter of constant size, whatever the limit.
//
// # FixedWindow
//
// The counter counts from zero in each window, and admits if
// used ≤ limit − cost. A trailing window can hold up to 2 · limit units, around
// the boundary of two windows. It suits quotas: "a million in March". With a
// Calendar the windows are periods given by the caller, of any length, in any
// time zone.
//
// # Changes
//
// A counter is identified by Group, Scope, ID, Name, Algorithm, and Window or
// the Calendar's Name. A new Limit applies to what is counted already. A new
// window or algorithm starts another counter.
//
// # Shadow rules, looks, repeats, refunds
//
// A Shadow rule is counted and reported, and refuses nothing. It is spent from
// when the enforced rules admit the call and it would admit it itself: so it
// shows what it would do if it were enforced.
//
// A Request of Cost 0 reads what remains and writes nothing. It is allowed
// unless more is used than the limit, as after a change of limits.
//
// A Request with an ID can be repeated safely when its answer was lost: the
// decision, refusals too, is kept with it for the time of Replay in the same
// atomic step.
//
// An allowed call that is not made, or turns out cheaper, is given back with
// Refund and the decision's Receipt, once, as far as it still counts.
//
// # What it costs
//
// A Take on Memory holds one lock of 256 and touches one map entry per rule; it
// allocates nothing but for new counters and requests with an ID, and a refusal
// costs no more than an admission. An entry takes 85 to 135 bytes. On redisstore
// a Take is one round trip and one script, whatever the number of rules.
package ratelimit
