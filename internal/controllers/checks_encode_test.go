package controllers

import (
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

func answers() *rapid.Generator[*validation.Answer] {
	text := rapid.StringN(0, 12, 40)
	wait := rapid.Custom(func(t *rapid.T) time.Duration {
		return rapid.SampledFrom([]time.Duration{0, 1, time.Millisecond, time.Second, time.Second + 1, ratelimit.Never,
			rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(rapid.Int64Range(0, int64(1e16)).Draw(t, "wait")) }).Draw(t, "any wait")}).Draw(t, "which wait")
	})
	return rapid.Custom(func(t *rapid.T) *validation.Answer {
		a := &validation.Answer{
			Allowed: rapid.Bool().Draw(t, "allowed"), Code: validation.Code(text.Draw(t, "code")), RequestID: text.Draw(t, "id"),
			Degraded: rapid.Bool().Draw(t, "degraded"), Replayed: rapid.Bool().Draw(t, "replayed"),
			At: time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "at")), RetryAfter: wait.Draw(t, "retry"), Tightest: -1,
		}
		for range rapid.IntRange(0, 4).Draw(t, "limits") {
			rule := &models.Rule{
				Name: rapid.StringMatching(`[a-zA-Z0-9._-]{1,20}`).Draw(t, "name"), Limit: rapid.Int64Range(1, models.MaxFixedLimit).Draw(t, "limit"),
				Window: max(0, wait.Draw(t, "window")), Shadow: rapid.Bool().Draw(t, "shadow"),
			}
			if rapid.Bool().Draw(t, "bucket") {
				rule.Algorithm, rule.Burst = ratelimit.GCRA, rapid.Int64Range(1, models.MaxSlidingLimit).Draw(t, "burst")
			}
			a.Limits = append(a.Limits, validation.Limit{
				Rule: rule, Remaining: rapid.Int64Range(0, rule.Capacity()).Draw(t, "remaining"),
				ResetAfter: max(0, wait.Draw(t, "reset")),
				RetryAfter: wait.Draw(t, "retry"), Denied: rapid.Bool().Draw(t, "denied"), WouldDeny: rapid.Bool().Draw(t, "would"),
			})
		}
		if len(a.Limits) > 0 {
			a.Tightest = rapid.IntRange(-1, len(a.Limits)-1).Draw(t, "tightest")
		}
		if rapid.Bool().Draw(t, "found") {
			a.Snapshot = &models.Snapshot{
				Key: models.APIKey{
					ID: models.KeyID(text.Draw(t, "key")), Name: text.Draw(t, "key name"), Environment: "live",
					Permissions: rapid.SliceOfN(text, 0, 3).Draw(t, "permissions"),
					Metadata:    rapid.MapOfN(text, text, 0, 4).Draw(t, "metadata"),
				},
				Keyspace: models.Keyspace{Name: text.Draw(t, "keyspace")}, Plan: models.Plan{Name: text.Draw(t, "plan")},
				Owner: models.Owner{ID: models.OwnerID(text.Draw(t, "owner"))},
			}
		}
		return a
	})
}

func TestAnswersAreWrittenAsTheirSchemaSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := answers().Draw(t, "answer")
		want, err := json.Marshal(answerOf(a), jsonOptions)
		require.NoError(t, err)
		require.Equal(t, string(want), string(appendAnswer(nil, a)))
	})
}

func TestRateLimitHeadersAreStructuredFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := answers().Draw(t, "answer")
		h := http.Header{}
		var headers limitHeaders
		headers.of(a)
		headers.set(h)
		enforced := []*validation.Limit{}
		for i := range a.Limits {
			if !a.Limits[i].Rule.Shadow {
				enforced = append(enforced, &a.Limits[i])
			}
		}
		policies, err := httpsfv.UnmarshalList(h.Values("RateLimit-Policy"))
		require.NoError(t, err)
		limits, err := httpsfv.UnmarshalList(h.Values("RateLimit"))
		require.NoError(t, err)
		require.Len(t, policies, len(enforced))
		require.Len(t, limits, len(enforced))
		for i, l := range enforced {
			policy, limit := policies[i].(httpsfv.Item), limits[i].(httpsfv.Item)
			require.Equal(t, l.Rule.Name, policy.Value)
			require.Equal(t, l.Rule.Name, limit.Value)
			q, _ := policy.Params.Get("q")
			require.Equal(t, min(l.Rule.Capacity(), maxStructured), q)
			window := big.NewRat(int64(l.Rule.Window), int64(time.Second)) // in which so much comes back
			window.Mul(window, big.NewRat(l.Rule.Capacity(), l.Rule.Limit))
			if w, ok := policy.Params.Get("w"); ok {
				require.Zero(t, window.Cmp(big.NewRat(w.(int64), 1)))
			} else {
				require.False(t, window.IsInt() && window.Sign() > 0 && window.Num().Int64() <= int64(ratelimit.MaxDrain/time.Second))
			}
			r, _ := limit.Params.Get("r")
			require.Equal(t, min(l.Remaining, maxStructured), r)
			if after, ok := limit.Params.Get("t"); ok {
				requireRoundedUp(t, l.ResetAfter, ofSeconds(after.(int64)))
			} else {
				require.Zero(t, l.ResetAfter)
			}
		}
	})
}

func ofSeconds(n int64) time.Duration { return time.Duration(n) * time.Second }

func requireRoundedUp(t require.TestingT, exact, whole time.Duration) {
	require.GreaterOrEqual(t, whole, exact)
	require.Less(t, whole-exact, time.Second)
}

// As package httplimit has it.
func TestThePolicyOfABucketIsItsBurstAndTheTimeInWhichItDrains(t *testing.T) {
	rule := &models.Rule{Name: "bucket", Algorithm: ratelimit.GCRA, Limit: 100, Burst: 20, Window: time.Minute}
	a := &validation.Answer{Allowed: true, Limits: []validation.Limit{
		{Rule: rule, Remaining: 19, ResetAfter: 600 * time.Millisecond},
	}}
	got := http.Header{}
	var headers limitHeaders
	headers.of(a)
	headers.set(got)
	taken := ratelimit.Rule{
		Name: rule.Name, Algorithm: rule.Algorithm, Limit: rule.Limit, Burst: rule.Burst, Window: rule.Window,
	}
	want := http.Header{}
	httplimit.SetHeaders(want, &ratelimit.Decision{
		Allowed: true, Results: []ratelimit.Result{{Rule: &taken, Remaining: 19, ResetAfter: 600 * time.Millisecond}},
	})
	require.Equal(t, want, got)
	require.Equal(t, []string{`"bucket";q=20;w=12`}, got.Values("RateLimit-Policy"))
	require.Equal(t, []string{"20"}, got.Values("X-RateLimit-Limit"))
}

func TestRetryAfterIsNeverTooEarly(t *testing.T) {
	at := time.Date(2026, 3, 10, 12, 0, 0, 500_000_000, time.UTC)
	rule := &models.Rule{Name: "per-minute", Limit: 100, Window: time.Minute}
	a := &validation.Answer{
		At: at, RetryAfter: 1200 * time.Millisecond, Code: validation.RateLimited,
		Limits: []validation.Limit{{Rule: rule, ResetAfter: 1200 * time.Millisecond, RetryAfter: 1200 * time.Millisecond, Denied: true}},
	}
	h := http.Header{}
	var headers limitHeaders
	headers.of(a)
	headers.set(h)
	require.Equal(t, http.Header{
		"Ratelimit":             {`"per-minute";r=0;t=2`},
		"Ratelimit-Policy":      {`"per-minute";q=100;w=60`},
		"Retry-After":           {"2"},
		"X-Ratelimit-Limit":     {"100"},
		"X-Ratelimit-Remaining": {"0"},
		"X-Ratelimit-Reset":     {"1773144002"},
	}, h)

	a.RetryAfter, a.Allowed = 0, true
	headers = limitHeaders{}
	headers.of(a)
	require.Empty(t, headers.retryAfter)
	a.RetryAfter, a.Allowed = ratelimit.Never, false
	headers = limitHeaders{}
	headers.of(a)
	require.Empty(t, headers.retryAfter, "no waiting helps")
}
