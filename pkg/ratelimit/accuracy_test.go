package ratelimit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

// traffic is a way of calling: next is the time to the next call, and
// retryAfter what the last answer said.
type traffic struct {
	name string
	next func(r *rand.Rand, now time.Time, retryAfter time.Duration) time.Duration
}

// The limit of the measurement, and the pace that just keeps it.
const (
	perWindow = 100
	pace      = time.Minute / perWindow
)

// paced is traffic of so many times the limit, apart by gaps that pay no heed
// to the clock.
func paced(name string, load float64, gap func(*rand.Rand) float64) traffic {
	return traffic{fmt.Sprintf("%s, %.2f of the limit", name, load),
		func(r *rand.Rand, _ time.Time, _ time.Duration) time.Duration {
			return time.Duration(gap(r) * float64(pace) / load)
		}}
}

func steady(load float64) traffic {
	return paced("steady", load, func(*rand.Rand) float64 { return 1 })
}

func poisson(load float64) traffic {
	return paced("Poisson", load, (*rand.Rand).ExpFloat64)
}

// bursts are of 20 to 100 calls within seconds, at any time.
func bursts(load float64) traffic {
	var left int
	return paced("bursts", load, func(r *rand.Rand) float64 {
		if left--; left > 0 {
			return r.ExpFloat64() * load * float64(50*time.Millisecond) / float64(pace)
		}
		left = 20 + r.IntN(81)
		return r.ExpFloat64() * float64(left)
	})
}

// tide is Poisson traffic that rises and falls each hour.
func tide() traffic {
	return traffic{"tide, 0 to 2 of the limit", func(r *rand.Rand, now time.Time, _ time.Duration) time.Duration {
		for then := now; ; {
			then = then.Add(time.Duration(r.ExpFloat64() * float64(pace) / 2))
			height := 2 * then.Sub(then.Truncate(time.Hour)).Hours()
			if r.Float64() < min(height, 2-height) {
				return then.Sub(now)
			}
		}
	}}
}

// crowd comes within seconds of each full minute, as the jobs of many clients do.
func crowd(size int) traffic {
	var left int
	return traffic{fmt.Sprintf("%d at each full minute", size),
		func(r *rand.Rand, now time.Time, _ time.Duration) time.Duration {
			if left--; left > 0 {
				return time.Duration(r.ExpFloat64() * float64(3*time.Second) / float64(size))
			}
			left = size
			return now.Truncate(time.Minute).Add(time.Minute).Sub(now)
		}}
}

// adversary takes all of the limit in the last tick of a window, and what comes
// free through the next, then waits until nothing counts.
func adversary() traffic {
	end := storetest.Noon
	return traffic{"adversary", func(_ *rand.Rand, now time.Time, retryAfter time.Duration) time.Duration {
		if now.Add(retryAfter).Before(end) {
			return retryAfter
		}
		wait := now.Truncate(time.Minute).Add(3*time.Minute - time.Microsecond).Sub(now)
		end = now.Add(wait + time.Minute)
		return wait
	}}
}

// measured is how an algorithm decided, next to exact logs.
type measured struct {
	calls, admitted int
	byLog           int // admitted by a log in its place
	wrongly, tooFew int // admitted and refused against a log of what it admitted itself
	worst           int // admitted in any trailing window
	worstAligned    int // in any window aligned to the epoch
}

// trailing is an exact log of single units.
type trailing []time.Time

func (l *trailing) count(now time.Time, window time.Duration) int {
	for len(*l) > 0 && now.Sub((*l)[0]) >= window {
		*l = (*l)[1:]
	}
	return len(*l)
}

func measure(t *testing.T, algorithm ratelimit.Algorithm, by traffic) (m measured) {
	clock := storetest.NewClock()
	store := ratelimit.NewMemory(ratelimit.WithClock(clock.Now))
	rule := perMinute("k", perWindow)
	rule.Algorithm = algorithm
	req := one("g", rule)
	r := rand.New(rand.NewPCG(1, 2))
	var dec ratelimit.Decision
	var own, inPlace trailing
	aligned := map[time.Time]int{}
	for ; m.calls < 30_000; m.calls++ {
		clock.Advance(by.next(r, clock.Now(), dec.RetryAfter()).Truncate(time.Microsecond))
		if err := store.Take(context.Background(), &req, &dec); err != nil {
			require.NoError(t, err)
		}
		now := clock.Now()
		if inPlace.count(now, rule.Window) < perWindow {
			inPlace = append(inPlace, now)
			m.byLog++
		}
		room := own.count(now, rule.Window) < perWindow
		if !dec.Allowed {
			if room {
				m.tooFew++
			}
			continue
		}
		if !room {
			m.wrongly++
		}
		own = append(own, now)
		m.admitted++
		m.worst = max(m.worst, len(own))
		window := now.Truncate(rule.Window)
		aligned[window]++
		m.worstAligned = max(m.worstAligned, aligned[window])
	}
	return m
}

// TestAccuracyIsAsDocumented measures what windows approximate, against exact
// logs, and prints the table of the documentation (go test -v).
func TestAccuracyIsAsDocumented(t *testing.T) {
	for _, c := range []struct {
		algorithm ratelimit.Algorithm
		most      int // in any trailing window
	}{
		{ratelimit.SlidingWindow, 2*perWindow - 1},
		{ratelimit.FixedWindow, 2 * perWindow},
		{ratelimit.SlidingLog, perWindow},
	} {
		table := []string{fmt.Sprintf("%v of %d a minute, 30,000 calls of 1 unit:", c.algorithm, perWindow),
			"| traffic | admitted | by an exact log | wrongly admitted | wrongly refused | most in a trailing window |",
			"|---|---|---|---|---|---|"}
		for _, by := range []traffic{
			steady(0.5), steady(0.95), steady(1.05), steady(2),
			poisson(0.5), poisson(0.8), poisson(0.95), poisson(1.05), poisson(2), poisson(10), tide(),
			bursts(0.25), bursts(0.5), bursts(1), crowd(50), crowd(80), crowd(150), adversary(),
		} {
			m := measure(t, c.algorithm, by)
			table = append(table, fmt.Sprintf("| %s | %s | %s | %s | %s | %d |", by.name, percent(m.admitted, m.calls),
				percent(m.byLog, m.calls), percent(m.wrongly, m.calls), percent(m.tooFew, m.calls), m.worst))
			m.keepsBounds(t, c.algorithm, c.most, by.name)
		}
		t.Log(strings.Join(table, "\n"))
	}
}

func percent(part, of int) string { return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(of)) }

func (m *measured) keepsBounds(t *testing.T, algorithm ratelimit.Algorithm, most int, by string) {
	require.LessOrEqual(t, m.worst, most, by)
	if by == adversary().name {
		require.Equal(t, most, m.worst, "the bound is reached")
	}
	switch algorithm {
	case ratelimit.SlidingLog:
		require.Zero(t, m.wrongly+m.tooFew, by)
		require.Equal(t, m.byLog, m.admitted, by)
	case ratelimit.FixedWindow:
		require.Zero(t, m.tooFew, by)
		fallthrough
	default:
		require.LessOrEqual(t, m.worstAligned, perWindow, by)
	}
}

// TestGCRARoundsNothing spends each unit as soon as it has drained, a million
// times: the k-th at the first tick at which k units have.
func TestGCRARoundsNothing(t *testing.T) {
	clock := storetest.NewClock()
	store := ratelimit.NewMemory(ratelimit.WithClock(clock.Now))
	rule := ratelimit.Rule{
		Scope: "key", ID: "k", Name: "odd", Algorithm: ratelimit.GCRA, Limit: 7, Burst: 3, Window: time.Second,
	}
	req := one("g", rule)
	var dec ratelimit.Decision
	start := clock.Now()
	for k := range int64(1_000_000) { // drift would add up
		if k >= rule.Burst {
			micros := (time.Second.Microseconds()*(k-rule.Burst+1) + rule.Limit - 1) / rule.Limit
			clock.Set(start.Add(time.Duration(micros-1) * time.Microsecond))
			if err := store.Take(context.Background(), &req, &dec); err != nil || dec.Allowed {
				require.FailNow(t, "a tick early", "k = %d: %v %v", k, dec, err)
			}
			clock.Advance(time.Microsecond)
		}
		if err := store.Take(context.Background(), &req, &dec); err != nil || !dec.Allowed {
			require.FailNow(t, "not in time", "k = %d: %v %v", k, dec, err)
		}
	}
}
