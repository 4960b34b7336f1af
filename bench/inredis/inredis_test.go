package inredis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/bench/limiters"
)

// A plan of the smallest numbers still measures everything.
func TestMeasureFillsEveryCell(t *testing.T) {
	plan := Plan{Keys: 100, Rounds: 3, Slice: 10 * time.Millisecond, Callers: 4, Log: t.Logf}
	r, err := Measure(t.Context(), plan)
	require.NoError(t, err)
	require.NotEmpty(t, r.Version)
	for _, limiter := range limiters.InRedis {
		for outcome := range r.Lone {
			lone := r.Lone[outcome][limiter.Name]
			require.Len(t, lone.Mean.Values, 3, limiter.Name)
			require.Positive(t, lone.Mean.Ratio(), limiter.Name)
			require.GreaterOrEqual(t, lone.Each.Summary().P99, lone.Each.Summary().P50)
		}
		require.Positive(t, r.Crowd[limiter.Name].Rate.Ratio(), limiter.Name)
	}
	require.InDelta(t, 1, r.Lone[Admissions][limiters.Ours].Mean.Ratio(), 1e-9)
}
