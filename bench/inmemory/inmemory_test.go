package inmemory

import (
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/bench/limiters"
	"github.com/viva/rate-limiter/bench/workload"
)

// The holders run in this very program, as they do in that of the benchmarks.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == HoldCommand {
		if err := Serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A plan of the smallest numbers still measures everything.
func TestMeasureFillsEveryCell(t *testing.T) {
	plan := Plan{
		Sizes: []int{1000, 2000}, Hot: 1000, Apart: 2000, Fills: 1, Rounds: 2,
		Slice: 100 * time.Microsecond, Pool: 1 << 12, Churn: 20 * time.Millisecond, Log: t.Logf,
	}
	r, err := Measure(t.Context(), plan)
	require.NoError(t, err)

	require.Len(t, r.Steady, 2*(2*2+1)*len(Cores()), "outcomes, patterns for each size, cores")
	for cell, measured := range r.Steady {
		require.Len(t, measured, len(limiters.InMemory), cell)
		for name, series := range measured {
			require.Positive(t, series.Median(), name)
			require.Positive(t, series.Ratio(), name)
		}
		require.InDelta(t, 1, measured[limiters.Ours].Ratio(), 1e-9)
	}
	cell := Cell{Keys: 1000, Pattern: workload.Uniform, Cores: 1}
	name, peer := r.Fastest(cell)
	require.Contains(t, Peers(), name)
	for _, other := range Peers() {
		require.LessOrEqual(t, peer.Median(), r.Steady[cell][other].Median())
	}

	for _, keys := range plan.Sizes {
		for _, limiter := range limiters.InMemory {
			require.Positive(t, r.Fill[keys][limiter.Name].Ratio(), limiter.Name)
			require.Contains(t, r.Memory[keys], limiter.Name)
		}
	}
	for _, limiter := range limiters.InMemory {
		require.Equal(t, uint64(2000), r.Growth[limiter.Name].N, limiter.Name)
		require.Positive(t, r.Collect[limiter.Name].Wall, limiter.Name)
		require.Equal(t, limiter.Sweeps, r.Churn[limiter.Name].N > 0, limiter.Name)
	}
	require.Equal(t, uint64(2000), r.Lapse.N)
}

// What a limiter keeps is measured to within a few bytes.
func TestFootprint(t *testing.T) {
	holder, err := newHolder("sethvargo")
	require.NoError(t, err)
	const keys = 100_000
	var built Built
	require.NoError(t, holder.Build(BuildArgs{Keys: keys}, &built))
	// A bucket of 64 bytes, a key of 20 and a map's slot of 24 or more.
	require.InDelta(t, 130, built.Memory.Heap, 30)
	require.InDelta(t, 1, built.MallocsPerTake, 0.1)
	again := built
	require.NoError(t, holder.Build(BuildArgs{Keys: keys}, &again))
	require.InDelta(t, built.Memory.Heap, again.Memory.Heap, 15, "the store before is forgotten")
	require.False(t, math.IsNaN(residentSize()), "this system tells")
	require.NoError(t, holder.drop())
}

func TestHolderRefusesWhatIsNotWhatWasAskedFor(t *testing.T) {
	holder, err := newHolder("sethvargo")
	require.NoError(t, err)
	require.NoError(t, holder.Build(BuildArgs{Keys: 10, Deny: true}, new(Built)))
	holder.deny = false // now it expects admissions
	err = holder.Steady(SteadyArgs{Pattern: workload.Uniform, Cores: 1, Takes: 80, Pool: 100}, new(Steadied))
	require.ErrorContains(t, err, "admitted 0 of 70 calls in place of 70")
	require.NoError(t, holder.drop())

	_, err = newHolder("nobody")
	require.ErrorContains(t, err, "nobody")
}

func TestAnotherBeginsEachRound(t *testing.T) {
	a, b, c := &process{name: "a"}, &process{name: "b"}, &process{name: "c"}
	all := processes{a, b, c}
	require.Equal(t, processes{a, b, c}, all.turns(0))
	require.Equal(t, processes{b, c, a}, all.turns(1))
	require.Equal(t, processes{c, a, b}, all.turns(5))
}
