package storetest

import (
	"math/big"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// A bucket is a GCRA's: its level is an exact fraction, and drains by Limit
// units a window. An empty one is as good as new.
type bucket struct {
	level big.Int // at the tick last, in units times the window's ticks
	last  int64   // tick of the latest spending
	since int64   // tick of the first spending since the level was last zero
}

// A bucketView is a bucket whose clock stands at now.
type bucketView struct {
	*bucket
	rule  *ratelimit.Rule
	level *big.Int
	now   int64
	since int64
	clock int64 // what the clock shows, where now stands still or not
}

func (b *bucket) at(rule *ratelimit.Rule, now int64) view {
	fresh := &bucketView{bucket: b, rule: rule, level: new(big.Int), now: now, since: now, clock: now}
	if b.level.Sign() == 0 {
		return fresh
	}
	v := &bucketView{b, rule, &b.level, max(now, b.last), b.since, now}
	if b.last-now > width(rule) {
		v.now, v.since = now, now
	} else if v.level = drained(&b.level, v.now-b.last, rule.Limit); v.level.Sign() == 0 {
		return fresh
	}
	return v
}

// drained is what is left of a level after a number of ticks.
func drained(level *big.Int, ticks, limit int64) *big.Int {
	left := big.NewInt(ticks)
	left.Mul(left, big.NewInt(limit))
	if left.Sub(level, left); left.Sign() < 0 {
		return left.SetInt64(0)
	}
	return left
}

func (v *bucketView) tick() int64  { return v.now }
func (v *bucketView) start() int64 { return v.since }

// used counts a begun unit as a whole one.
func (v *bucketView) used(at int64) int64 {
	units, part := drained(v.level, at-v.now, v.rule.Limit), new(big.Int)
	if units.QuoRem(units, big.NewInt(width(v.rule)), part); part.Sign() > 0 {
		return units.Int64() + 1
	}
	return units.Int64()
}

// counts: units leave a bucket in the order in which they came, so none is left
// of what was spent longer ago than a full bucket takes to drain.
func (v *bucketView) counts(start, at int64) bool {
	full := v.scaled(capacity(v.rule))
	return v.level.Sign() > 0 && start == v.since && drained(full, v.clock-at, v.rule.Limit).Sign() > 0
}

func (v *bucketView) spend(units int64) {
	v.bucket.level.Add(v.level, v.scaled(units))
	v.last, v.bucket.since = v.now, v.since
}

// settle leaves the bucket's instant alone: only spending moves it.
func (v *bucketView) settle(_, units int64) {
	level, most := &v.bucket.level, v.scaled(ratelimit.MaxSlidingLimit)
	switch level.Sub(level, v.scaled(units)); {
	case level.Sign() < 0:
		level.SetInt64(0)
	case level.Cmp(most) > 0:
		level.Set(most)
	}
}

func (v *bucketView) scaled(units int64) *big.Int {
	return new(big.Int).Mul(big.NewInt(units), big.NewInt(width(v.rule)))
}
