package ratelimit_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestAlgorithmNames(t *testing.T) {
	for algorithm, name := range map[ratelimit.Algorithm]string{
		ratelimit.SlidingWindow: "sliding_window",
		ratelimit.FixedWindow:   "fixed_window",
	} {
		require.Equal(t, name, algorithm.String())
		parsed, err := ratelimit.ParseAlgorithm(name)
		require.NoError(t, err)
		require.Equal(t, algorithm, parsed)

		text, err := json.Marshal(algorithm)
		require.NoError(t, err)
		require.JSONEq(t, `"`+name+`"`, string(text))
		var read ratelimit.Algorithm
		require.NoError(t, json.Unmarshal(text, &read))
		require.Equal(t, algorithm, read)
	}
	for _, name := range []string{"", "Sliding_Window", "sliding_window "} {
		_, err := ratelimit.ParseAlgorithm(name)
		require.ErrorIs(t, err, ratelimit.ErrInvalid)
		var read ratelimit.Algorithm
		require.ErrorIs(t, read.UnmarshalText([]byte(name)), ratelimit.ErrInvalid)
	}
	require.Equal(t, "Algorithm(9)", ratelimit.Algorithm(9).String())
	_, err := ratelimit.Algorithm(9).MarshalText()
	require.ErrorIs(t, err, ratelimit.ErrInvalid)
}

func TestInvalidErrorsSayWhereAndWhat(t *testing.T) {
	req := ratelimit.Request{Group: "g", Rules: []ratelimit.Rule{perMinute("k", 1), perMinute("k", 0)}}
	require.EqualError(t, req.Validate(), "rule 1: Limit must be from 1 to 9007199254740991")
	req.Rules[1] = perMinute("k", 5)
	require.EqualError(t, req.Validate(), "rule 1: Name must not name the counter of rule 0 again")
	req.Group = ""
	require.EqualError(t, req.Validate(), "Group must not be empty")
}

func TestMaxRulesAreDecidedTogether(t *testing.T) {
	req := ratelimit.Request{Group: "g", Cost: 1}
	for i := range ratelimit.MaxRules {
		req.Rules = append(req.Rules, perMinute(string(rune('A'+i)), int64(5+i)))
	}
	dec, err := take(t, ratelimit.NewMemory(), req)
	require.NoError(t, err)
	require.Len(t, dec.Results, ratelimit.MaxRules)
	require.Equal(t, &req.Rules[0], dec.Tightest().Rule)
	req.Rules = append(req.Rules, perMinute("one more", 5))
	require.ErrorIs(t, req.Validate(), ratelimit.ErrInvalid)
}

// mostAdmitted is the most units admitted in any trailing window: against calls
// of cost 1 made from the last tick of a window through the end of the next.
func mostAdmitted(t *testing.T, rule ratelimit.Rule) int {
	now := march.Add(rule.Window - time.Microsecond)
	end := now.Add(rule.Window)
	store := ratelimit.NewMemory(ratelimit.WithClock(func() time.Time { return now }))
	var admitted int
	for now.Before(end) {
		dec, err := take(t, store, one("g", rule))
		require.NoError(t, err)
		if dec.Allowed {
			admitted++
		} else {
			now = now.Add(dec.RetryAfter())
		}
	}
	return admitted
}

func TestWorstCaseInATrailingWindowIsAsDocumented(t *testing.T) {
	rule := perMinute("k", 100)
	require.Equal(t, 200, mostAdmitted(t, rule))
	rule.Algorithm = ratelimit.SlidingWindow
	require.Equal(t, 199, mostAdmitted(t, rule))
}
