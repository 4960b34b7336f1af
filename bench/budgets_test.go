package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/bench/inmemory"
	"github.com/viva/rate-limiter/bench/inredis"
	"github.com/viva/rate-limiter/bench/limiters"
	"github.com/viva/rate-limiter/bench/workload"
)

func once(value, ours float64) *workload.Series {
	s := new(workload.Series)
	s.Add(value, ours)
	return s
}

func inMemory() *inmemory.Results {
	measured := func(ours float64) map[string]*workload.Series {
		return map[string]*workload.Series{
			limiters.Ours: once(ours, ours), limiters.OursCoarse: once(ours-15, ours), "sethvargo": once(200, ours), "throttled": once(150, ours),
			"x/time/rate": once(300, ours), limiters.Floor: once(1, ours),
		}
	}
	return &inmemory.Results{
		Plan: inmemory.Plan{Sizes: []int{1_000, 100_000, 1_000_000}},
		Steady: map[inmemory.Cell]map[string]*workload.Series{
			plain(1_000): measured(20), plain(100_000): measured(45), plain(1_000_000): measured(60),
		},
		Mallocs: map[string]float64{limiters.Ours: 0.0001},
		Memory: map[int]map[string]inmemory.Footprint{
			100_000: {limiters.Ours: {Heap: 96}}, 1_000_000: {limiters.Ours: {Heap: 97}},
		},
	}
}

func TestBudgetsOfMemory(t *testing.T) {
	table := (&results{memory: inMemory()}).budgets()
	of := func(keys string) string {
		return "memory, " + keys + " keys, " + coreCount(most()) + ": of the fastest peer's time"
	}
	require.Equal(t, [][]string{
		{of("100k"), "≤ 0.35", "0.30 (45.0 ns, throttled 150 ns)", "met"},
		{of("100k") + ", with a CoarseClock", "≤ 0.35", "0.20 (30.0 ns, throttled 150 ns)", "met"},
		{of("1M"), "≤ 0.35", "0.40 (60.0 ns, throttled 150 ns)", "**missed**"},
		{of("1M") + ", with a CoarseClock", "≤ 0.35", "0.30 (45.0 ns, throttled 150 ns)", "met"},
		{"memory: objects allocated by a call", "≤ 0", "0.00", "met"},
		{"memory, 100k keys: bytes for a key", "≤ 96", "96.0", "met"},
		{"memory, 1M keys: bytes for a key", "≤ 96", "97.0", "**missed**"},
		{"memory: a call at 1M keys, of one at 1k", "≤ 5", "3.00 (60.0 ns, 20.0 ns)", "met"},
	}, table.Rows)
}

func TestBudgetsThatWereNotMeasuredSaySo(t *testing.T) {
	memory := inMemory()
	memory.Plan.Sizes = []int{1_000}
	delete(memory.Steady, plain(100_000))
	delete(memory.Steady, plain(1_000_000))
	rows := (&results{memory: memory}).budgets().Rows
	require.Equal(t, "not measured", rows[0][3])
	require.Equal(t, "not measured", rows[len(rows)-1][3])
}

func TestBudgetsOfRedis(t *testing.T) {
	lone := func(value float64) *inredis.Lone { return &inredis.Lone{Mean: *once(value, 40_000)} }
	crowd := func(rate float64) *inredis.Crowd { return &inredis.Crowd{Rate: *once(rate, 100_000)} }
	r := &inredis.Results{Plan: inredis.Plan{Callers: 64}, Crowd: map[string]*inredis.Crowd{
		limiters.Ours: crowd(100_000), limiters.RedisRate: crowd(40_000),
	}}
	r.Lone[inredis.Admissions] = map[string]*inredis.Lone{
		limiters.Ours: lone(40_000), "viva, 3 rules": lone(50_000), limiters.RedisRate: lone(32_000),
	}
	require.Equal(t, [][]string{
		{"Redis: three rules, of one rule's time", "≤ 1.3", "1.25 (50.0 µs, 40.0 µs)", "met"},
		{"Redis: of redis_rate's time", "≤ 1.1", "1.25 (40.0 µs, 32.0 µs)", "**missed**"},
		{"Redis, 64 callers: of redis_rate's calls a second", "≥ 2", "2.50 (100,000, 40,000)", "met"},
	}, (&results{redis: r}).budgets().Rows)
}

func TestCommandIsTheOneThatWasGiven(t *testing.T) {
	require.Equal(t, "make bench", (&results{}).command())
	require.Equal(t, `make bench BENCHFLAGS="-quick -only redis"`, (&results{quick: true, only: "redis"}).command())
}
