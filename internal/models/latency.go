package models

import (
	"math"
	"sort"
)

// LatencyBounds are the upper bounds, in milliseconds, of the buckets that
// reported latencies are counted in: 1 ms to 100 s, four to each doubling. They
// never change, so that counts of any time and any node add up.
var LatencyBounds = latencyBounds()

func latencyBounds() []float64 {
	var bounds []float64
	for i := 0; ; i++ {
		bound := math.Exp2(float64(i) / 4)
		if bound > 100_000 {
			return bounds
		}
		bounds = append(bounds, bound)
	}
}

// LatencyBucket gives the bucket that a latency is counted in.
func LatencyBucket(ms float64) int { return sort.SearchFloat64s(LatencyBounds, ms) }

// Percentile estimates the latency, in milliseconds, that a share p (0 to 1) of
// counted reports stayed below: the upper bound of the bucket that it is in,
// which is at most 19 % too high. It is 0 where nothing was counted.
func Percentile(counts map[int]int64, p float64) float64 {
	var all int64
	for _, n := range counts {
		all += n
	}
	if all == 0 {
		return 0
	}
	rank := max(1, int64(math.Ceil(p*float64(all))))
	var seen int64
	for i := range LatencyBounds {
		if seen += counts[i]; seen >= rank {
			return LatencyBounds[i]
		}
	}
	return LatencyBounds[len(LatencyBounds)-1]
}
