package ratelimit

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A request with an ID does not take the short path, and is decided the same.
func TestTheShortPathDecidesAsTheLongOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		now := time.UnixMilli(1_700_000_000_000)
		clock := WithClock(func() time.Time { return now })
		short, long := NewMemory(clock), NewMemory(clock)
		rule := Rule{
			Scope: "key", ID: "k", Name: "n", Algorithm: rapid.SampledFrom([]Algorithm{SlidingWindow, FixedWindow, GCRA}).Draw(rt, "algorithm"),
			Limit: rapid.Int64Range(1, 20).Draw(rt, "limit"), Window: rapid.SampledFrom([]time.Duration{time.Second, 2 * time.Hour}).Draw(rt, "window"),
			Shadow: rapid.Bool().Draw(rt, "shadow"),
		}
		for i := range rapid.IntRange(1, 60).Draw(rt, "calls") {
			now = now.Add(time.Duration(rapid.Int64Range(-100, 1000).Draw(rt, "permille")) * rule.Window / 1000)
			req := Request{Group: "g", Cost: rapid.Int64Range(0, 5).Draw(rt, "cost"), Rules: []Rule{rule}}
			require.True(rt, req.single())
			var got, want Decision
			require.NoError(rt, short.Take(t.Context(), &req, &got))
			req.ID = strconv.Itoa(i)
			require.False(rt, req.single())
			require.NoError(rt, long.Take(t.Context(), &req, &want))
			want.Nonce = got.Nonce // each shard begins with another
			require.Equal(rt, want, got)
		}
	})
}
