package workload

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	require.InDelta(t, 2.0, Median([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2.5, Median([]float64{4, 1, 3, 2}), 0)
	require.InDelta(t, 7.0, Median([]float64{7}), 0)
	require.True(t, math.IsNaN(Median(nil)))

	values := []float64{3, 1, 2}
	Median(values)
	require.Equal(t, []float64{3, 1, 2}, values, "the caller's order stays")
}

func TestRatioIsTheMedianOfTheRounds(t *testing.T) {
	var s Series
	s.Add(100, 25)   // 0.25
	s.Add(900, 270)  // 0.3, in a round in which the machine was slow
	s.Add(110, 24.2) // 0.22
	require.InDelta(t, 110.0, s.Median(), 0)
	require.InDelta(t, 0.25, s.Ratio(), 1e-9)

	var none *Series
	require.True(t, math.IsNaN(none.Median()))
	require.True(t, math.IsNaN(none.Ratio()))
}

// Quantiles are compared with those of the sorted durations themselves.
func TestQuantiles(t *testing.T) {
	var l Latencies
	var exact []time.Duration
	for i := range 10_000 {
		d := time.Duration(i * i) // from 0 ns to 100 ms
		l.Add(d)
		exact = append(exact, d)
	}
	for _, q := range []float64{0.0001, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := exact[int(math.Ceil(q*10_000))-1]
		got := l.Quantile(q)
		require.GreaterOrEqual(t, got, want, q)
		require.LessOrEqual(t, float64(got), float64(want)*33/32+1, q)
	}
	s := l.Summary()
	require.Equal(t, exact[len(exact)-1], s.Max)
	require.Equal(t, uint64(10_000), s.N)
	require.Equal(t, 33_328_333*time.Nanosecond, s.Mean)
	require.Equal(t, l.Quantile(0.5), s.P50)
	require.Zero(t, new(Latencies).Summary())
}

func TestBucketsAreInOrderAndHoldTheirTop(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 63, 64, 65, 127, 128, 1000, time.Second, math.MaxInt64} {
		b := bucket(d)
		require.LessOrEqual(t, d, top(b))
		require.Equal(t, b, bucket(top(b)), d)
		if top(b) < math.MaxInt64 {
			require.Equal(t, b+1, bucket(top(b)+1), d)
		}
	}
	new(Latencies).Add(math.MaxInt64)
}

func TestAboveCountsWhatIsLonger(t *testing.T) {
	var l Latencies
	for ms := range 10 {
		l.Add(time.Duration(ms) * time.Millisecond)
	}
	require.Equal(t, uint64(8), l.Above(time.Millisecond))
	require.Zero(t, l.Above(9*time.Millisecond))
}

func TestMergedLatenciesAreThoseOfBoth(t *testing.T) {
	var a, b, both Latencies
	for i := range 1000 {
		d := time.Duration(i) * time.Microsecond
		[]*Latencies{&a, &b}[i%2].Add(d)
		both.Add(d)
	}
	a.Merge(&b)
	require.Equal(t, both, a)
}

func TestKeysDifferAndAreTheSameEachTime(t *testing.T) {
	keys := Keys(0, 100_000)
	seen := map[string]bool{}
	for _, key := range keys {
		require.Len(t, key, keyLength)
		seen[key] = true
	}
	require.Len(t, seen, len(keys))
	require.Equal(t, keys[5000:5010], Keys(5000, 10))
	require.Equal(t, keys[:1], Accesses(Hot, 100_000, 1, 1))
}

func TestAccessesKeepToTheirPattern(t *testing.T) {
	const keys, n = 1000, 100_000
	known := Keys(0, keys)
	all := map[string]bool{}
	for _, key := range known {
		all[key] = true
	}
	for _, pattern := range []Pattern{Hot, Uniform, Zipf} {
		count := map[string]int{}
		for _, key := range Accesses(pattern, keys, n, 1) {
			if !all[key] {
				require.Fail(t, "no such key", key)
			}
			count[key]++
		}
		var counts []int
		for _, c := range count {
			counts = append(counts, c)
		}
		slices.Sort(counts)
		slices.Reverse(counts)
		switch pattern {
		case Hot:
			require.Equal(t, []int{n}, counts)
		case Uniform:
			require.Len(t, counts, keys)
			require.Less(t, counts[0], 2*n/keys)
			require.NotEqual(t, Accesses(Uniform, keys, 10, 1), Accesses(Uniform, keys, 10, 2))
		case Zipf:
			// rand.Zipf counts ranks from 1 here: the second is used 2^1.1 times as rarely as the first.
			require.InDelta(t, math.Pow(2, 1.1), float64(counts[0])/float64(counts[1]), 0.2)
			require.NotEqual(t, counts[0], count[known[1]], "the most frequent are not the first inserted")
		}
	}
}

// A takerFunc is a limiter for these tests.
type takerFunc func(key string) (bool, error)

func (f takerFunc) Take(key string) (bool, error) { return f(key) }

func TestParallelTimesWhatComesAfterTheFirstEighth(t *testing.T) {
	var calls [2]int
	taker := func(i int) Taker {
		return takerFunc(func(string) (bool, error) {
			calls[i]++
			if calls[i]%10 == 0 {
				return false, errors.New("every tenth fails")
			}
			return calls[i]%2 == 0, nil
		})
	}
	accesses := Keys(0, 800)
	tally := Parallel([]Taker{taker(0), taker(1)}, [][]string{accesses, accesses})
	require.Equal(t, [2]int{800, 800}, calls)
	require.Equal(t, 1400, tally.Takes)
	require.Equal(t, 140, tally.Failed)
	require.Equal(t, 560, tally.Admitted)
	require.ErrorContains(t, tally.Err, "every tenth")
	require.Positive(t, tally.NsPerTake())
}

func TestFillTakesOnceFromEachKey(t *testing.T) {
	var got []string
	taker := takerFunc(func(key string) (bool, error) { got = append(got, key); return true, nil })
	const n = chunk + 10
	s, err := Fill(taker, 5, n, true)
	require.NoError(t, err)
	require.Equal(t, Keys(5, n), got)
	require.Equal(t, n, s.Takes)
	require.Equal(t, uint64(n), s.Each.Summary().N)
	require.Positive(t, s.NsPerTake())

	_, err = Fill(takerFunc(func(string) (bool, error) { return false, nil }), 0, 3, false)
	require.ErrorContains(t, err, "3 of 3 new keys were not admitted")
}

func TestChurnKeepsItsPace(t *testing.T) {
	seen := map[string]bool{}
	taker := takerFunc(func(key string) (bool, error) { seen[key] = true; return true, nil })
	s, err := Churn(taker, 10_000, 50*time.Millisecond)
	require.NoError(t, err)
	require.Len(t, seen, s.Takes, "each key is new")
	require.LessOrEqual(t, s.Takes, 500)
	require.Positive(t, s.Takes)
}

func TestCount(t *testing.T) {
	for want, n := range map[string]int{"1k": 1000, "10M": 10_000_000, "999": 999, "1500": 1500, "0": 0} {
		require.Equal(t, want, Count(n))
	}
}
