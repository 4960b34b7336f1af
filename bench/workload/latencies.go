package workload

import (
	"math"
	"math/bits"
	"time"
)

// Latencies is a histogram of durations whose buckets are at most 1/32 wide: as quick to fill as they are short. The
// zero value is empty.
type Latencies struct {
	counts [(64 - subBits) << subBits]uint64
	n      uint64
	sum    time.Duration
	max    time.Duration
}

const subBits = 5 // 2^5 buckets for each power of two

// Summary tells what is worth knowing of a histogram.
type Summary struct {
	N                         uint64
	Mean, P50, P99, P999, Max time.Duration
}

// Add counts one duration.
func (l *Latencies) Add(d time.Duration) {
	d = max(0, d)
	l.counts[bucket(d)]++
	l.n++
	l.sum += d
	l.max = max(l.max, d)
}

// Merge counts everything that other has.
func (l *Latencies) Merge(other *Latencies) {
	for i, count := range other.counts {
		l.counts[i] += count
	}
	l.n += other.n
	l.sum += other.sum
	l.max = max(l.max, other.max)
}

// bucket numbers the buckets in the order of the durations in them.
func bucket(d time.Duration) int {
	v := uint64(d)
	shift := max(0, bits.Len64(v)-subBits-1)
	return shift<<subBits + int(v>>shift)
}

// top is the longest duration in the bucket.
func top(bucket int) time.Duration {
	shift := max(0, bucket>>subBits-1)
	return time.Duration(uint64(bucket-shift<<subBits+1)<<shift - 1)
}

// Quantile returns a duration that the share q of all durations do not exceed, at most 1/32 too long.
func (l *Latencies) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(l.n)))
	var seen uint64
	for i, count := range l.counts {
		if seen += count; count > 0 && seen >= rank {
			return min(top(i), l.max)
		}
	}
	return l.max
}

// Above returns how many durations were in buckets that begin after d.
func (l *Latencies) Above(d time.Duration) (n uint64) {
	for _, count := range l.counts[bucket(d)+1:] {
		n += count
	}
	return n
}

// Summary sums the histogram up.
func (l *Latencies) Summary() Summary {
	if l.n == 0 {
		return Summary{}
	}
	return Summary{
		N: l.n, Mean: l.sum / time.Duration(l.n), Max: l.max,
		P50: l.Quantile(0.5), P99: l.Quantile(0.99), P999: l.Quantile(0.999),
	}
}
