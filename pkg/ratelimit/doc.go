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
// # Which algorithm
//
//	              memory            worst trailing window     a burst may be
//	SlidingWindow constant          2 · limit − 1             limit
//	GCRA          constant          burst + limit             Burst
//	FixedWindow   constant          2 · limit                 limit
//	SlidingLog    16 bytes a call   limit                     limit
//
// SlidingWindow is the default and right for most: it cannot be played at the
// edges of windows as a fixed one can, and forgives no more than a little.
// GCRA smooths traffic and sizes bursts apart from the rate. FixedWindow, with
// a Calendar, is what a quota on an invoice means. SlidingLog is for small
// limits that must hold in every trailing window, such as five attempts to log
// in.
//
// # Time
//
// The store's clock decides, and Decision.At is the instant it decided at. Time
// is counted in ticks: a microsecond for windows up to an hour, a millisecond
// for longer ones and for calendars. Windows are aligned to the Unix epoch.
//
// If the clock is behind the latest spending from a counter by up to one window,
// it is taken to stand still there. If it is further behind, what was counted is
// moved to where the clock is. Neither grants anything twice.
//
// All arithmetic is in integers, below 2^53 wherever it is done in Lua, whose
// numbers are doubles: every store gives the same answers to the bit.
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
// refuse what an exact log would admit. Measured beside such a log, with a limit
// of 100 a minute and 30,000 calls, as parts of all calls:
//
//	traffic                    admitted   by the log   most in a trailing window
//	steady, half the limit     100 %      100 %        50
//	steady, twice the limit    49.5 %     50.0 %       100
//	Poisson, half the limit    100 %      100 %        77
//	Poisson, 0.95 of it        96.5 %     95.4 %       112
//	Poisson, twice the limit   49.5 %     49.7 %       103
//	bursts, half the limit     76.3 %     73.2 %       162
//	80 each full minute        63.8 %     99.5 %       83
//	timed against it           66.7 %     33.7 %       199
//
// Callers that all come at each full minute are told apart badly: give them GCRA
// or SlidingLog. Memory: one counter of constant size, whatever the limit.
//
// # FixedWindow
//
// The counter counts from zero in each window, and admits if
// used ≤ limit − cost. A trailing window can hold up to 2 · limit units, around
// the boundary of two windows. It suits quotas: "a million in March". With a
// Calendar the windows are periods given by the caller, of any length, in any
// time zone.
//
// # GCRA
//
// The generic cell rate algorithm, which ATM networks policed traffic with (ITU-T
// I.371, annex A), in its form as a leaky bucket that is a meter: a token bucket
// seen from the other side. The level falls by limit units a window, steadily,
// and a call adds its cost to it if the sum is at most the burst:
//
//	level(t + e) = max(0, level(t) − e · limit / W)
//	admitted if    level + cost ≤ burst
//	first after    ⌈(level + cost − burst) · W / limit⌉ ticks
//
// The level is kept as a whole number of units and a fraction with the
// denominator W. Nothing is rounded, so nothing drifts: a limit of 7 a second
// admits a steady caller 7,000,000 times in a million seconds.
//
// In any span of t it admits at most burst + limit · t / W units, never less
// than the rate, and all of an empty bucket's burst at once. Memory: constant.
//
// # SlidingLog
//
// Every spending is remembered with its tick, and counts at the tick t if it was
// made after t − W:
//
//	used = Σ of what was spent in (t − W, t]
//
// Cost is admitted if used ≤ limit − cost; first when enough of the oldest has
// left the window. No trailing window ever holds more than limit. It costs 16
// bytes a tick in which something was spent, so limit is at most MaxLogLimit;
// each spending is stored with the running sum, which makes a look at a log of n
// marks O(log n).
//
// # Changes
//
// A counter is identified by Group, Scope, ID, Name, Algorithm, and Window or
// the Calendar's Name. A new Limit or Burst applies at once, to what is counted
// already. A new window or algorithm starts another counter.
//
// A counter is kept for as long as it can count by its rule, and at least a
// minute longer. So a GCRA whose Limit is lowered much may be forgotten when its
// level would have drained at the rate of the latest spending.
//
// # Shadow rules, looks, repeats
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
// # Settling
//
// An allowed call that is not made, or turns out cheaper, is given back with
// Refund and the decision's Receipt, as far as it still counts. One that turns
// out dearer is charged for the rest, by units below zero. Either is done once
// for a receipt. A look, and a refused call, cannot be settled.
//
//	_ = store.Refund(ctx, dec.Receipt(group), dec.Cost-actual)
//
// Each algorithm says what is settled by the window that Result.Start names: a
// bucket of it, for SlidingWindow; the time since the level was last zero, for
// GCRA, but no longer than a full one drains; the one tick, for SlidingLog. A
// window that counts no longer gives nothing back and is charged nothing, and so
// does a counter that was reset.
//
// A charge goes beyond the limit, as the units are used already: then nothing
// remains, and Result.RetryAfter is as exact as ever. It ends where arithmetic
// is exact: a bucket of a SlidingWindow and the level of a GCRA stop at
// MaxSlidingLimit, a FixedWindow at MaxFixedLimit, and a SlidingLog when it
// holds MaxLogLimit units in all, those of them included that it has not dropped
// yet. Neither a refund nor a charge moves a counter's clock.
//
// # Durable rules
//
// A quota for a month outlives the memory of a store. A rule with a Calendar
// that is Durable decides nothing while the store holds no counter of it for
// the period of now: a Take with such a rule fails with an *UnseededError, a
// look too, whatever the other rules say. The caller, who has the usage on
// record, says with Seed what it is, and takes again; there is an example with
// Seeding.
//
// A counter is held from its first seed or spending in a period until the period
// is over, or it is reset or lost; a seed of zero units holds it as well. Seeds
// never lower a count, so they may be repeated, come late, and race: what was
// spent before a loss and is not on record yet is added by a later seed. A clock
// that steps back does not make a counter unseeded that is ahead of it.
//
// # What it costs
//
// A Take on Memory holds one lock of 512 and touches one or two cache lines for
// each rule. It allocates nothing in the steady state; a refusal costs less than
// an admission. A counter takes 72 to 88 bytes, whatever its limit, and the
// garbage collector does not look at it; a log its marks as well. Counters that
// no longer count are dropped, a few with each new one. A table grows in steps:
// no Take waits for more than a fraction of a millisecond of it.
//
// On redisstore a Take is one script, whatever the number of rules, and takes
// that are made at the same time share round trips.
package ratelimit
