package httplimit_test

import (
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

const maxInteger = 999_999_999_999_999

// decisions are any that a store could give, and names that it would take.
func decisions() *rapid.Generator[*ratelimit.Decision] {
	wait := rapid.Custom(func(t *rapid.T) time.Duration {
		some := time.Duration(rapid.Int64Range(0, int64(ratelimit.MaxFixed)).Draw(t, "wait"))
		return rapid.SampledFrom([]time.Duration{0, 1, time.Second, time.Second + 1, some}).Draw(t, "which")
	})
	return rapid.Custom(func(t *rapid.T) *ratelimit.Decision {
		dec := &ratelimit.Decision{Allowed: true, At: time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "at"))}
		for range rapid.IntRange(0, 4).Draw(t, "rules") {
			rule := &ratelimit.Rule{
				Name: rapid.String().Draw(t, "name"), Limit: rapid.Int64Range(1, ratelimit.MaxFixedLimit).Draw(t, "limit"),
				Window: wait.Draw(t, "window"), Shadow: rapid.Bool().Draw(t, "shadow"),
			}
			r := ratelimit.Result{
				Rule: rule, Remaining: rapid.Int64Range(0, rule.Limit).Draw(t, "remaining"), ResetAfter: wait.Draw(t, "reset"),
			}
			if rapid.Bool().Draw(t, "refuses") {
				r.RetryAfter = rapid.SampledFrom([]time.Duration{ratelimit.Never, 1 + wait.Draw(t, "retry")}).Draw(t, "ever")
				r.Denied, r.WouldDeny = !rule.Shadow, rule.Shadow
				dec.Allowed = dec.Allowed && rule.Shadow
			}
			dec.Results = append(dec.Results, r)
		}
		return dec
	})
}

func TestHeadersSayWhatWasDecided(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dec := decisions().Draw(t, "decision")
		h := http.Header{}
		httplimit.SetHeaders(h, dec)
		for name, values := range h {
			require.Equal(t, http.CanonicalHeaderKey(name), name)
			require.Len(t, values, 1)
		}
		policies, err := httpsfv.UnmarshalList(h.Values("RateLimit-Policy"))
		require.NoError(t, err)
		limits, err := httpsfv.UnmarshalList(h.Values("RateLimit"))
		require.NoError(t, err)
		shown := 0
		for i := range dec.Results {
			if r := &dec.Results[i]; !r.Rule.Shadow {
				requirePolicy(t, r.Rule, policies[shown].(httpsfv.Item))
				requireLimit(t, r, limits[shown].(httpsfv.Item))
				shown++
			}
		}
		require.Len(t, policies, shown)
		require.Len(t, limits, shown)

		retry := dec.RetryAfter()
		require.Equal(t, !dec.Allowed && retry != ratelimit.Never, h.Get("Retry-After") != "")
		if retry > 0 {
			requireRoundedUp(t, retry, number(t, h, "Retry-After"))
		}
		tightest := dec.Tightest()
		require.Equal(t, tightest != nil, h.Get("X-RateLimit-Limit") != "")
		if tightest != nil {
			require.Equal(t, tightest.Rule.Limit, number(t, h, "X-RateLimit-Limit"))
			require.Equal(t, tightest.Remaining, number(t, h, "X-RateLimit-Remaining"))
			reset := dec.At.Add(tightest.ResetAfter)
			requireRoundedUp(t, time.Duration(reset.UnixNano()), number(t, h, "X-RateLimit-Reset"))
		}
	})
}

func requirePolicy(t require.TestingT, rule *ratelimit.Rule, policy httpsfv.Item) {
	requireName(t, rule.Name, policy.Value.(string))
	quota, window := rule.Limit, big.NewRat(int64(rule.Window), int64(time.Second))
	if rule.Algorithm == ratelimit.GCRA && rule.Burst > 0 {
		quota = rule.Burst
		window.Mul(window, big.NewRat(rule.Burst, rule.Limit))
	}
	q, _ := policy.Params.Get("q")
	require.Equal(t, min(quota, maxInteger), q)
	w, ok := policy.Params.Get("w")
	require.Equal(t, window.Sign() > 0 && window.IsInt(), ok)
	if ok {
		require.Equal(t, window.Num().Int64(), w)
	}
}

func requireLimit(t require.TestingT, r *ratelimit.Result, limit httpsfv.Item) {
	requireName(t, r.Rule.Name, limit.Value.(string))
	remaining, _ := limit.Params.Get("r")
	require.Equal(t, min(r.Remaining, maxInteger), remaining)
	after, ok := limit.Params.Get("t")
	require.Equal(t, r.ResetAfter > 0, ok)
	if ok {
		requireRoundedUp(t, r.ResetAfter, after.(int64))
	}
}

// requireName finds the name as it is or, where it has to be, percent-encoded.
func requireName(t require.TestingT, name, written string) {
	if strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		decoded, err := url.PathUnescape(written)
		require.NoError(t, err)
		written = decoded
	}
	require.Equal(t, name, written)
}

func requireRoundedUp(t require.TestingT, exact time.Duration, seconds int64) {
	whole := time.Duration(seconds) * time.Second
	require.GreaterOrEqual(t, whole, exact)
	require.Less(t, whole-exact, time.Second)
}

func number(t require.TestingT, h http.Header, name string) int64 {
	n, err := strconv.ParseInt(h.Get(name), 10, 64)
	require.NoError(t, err)
	return n
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"per-minute":            `"per-minute";q=1`,
		`a "quoted\" one, 100%`: `"a \"quoted\\\" one, 100%";q=1`,
		"50% für alle":          `"50%25 f%C3%BCr alle";q=1`,
		"a\r\nSet-Cookie: x":    `"a%0D%0ASet-Cookie: x";q=1`,
		"\x00\x7f\xff":          `"%00%7F%FF";q=1`,
		"":                      `"";q=1`,
	} {
		require.Equal(t, want, string(httplimit.AppendPolicy(nil, name, 1, 0, 0)))
	}
}

func TestAPolicyHasAWindowWhereItIsWholeSeconds(t *testing.T) {
	for _, c := range []struct {
		limit, burst int64
		window       time.Duration
		want         string
	}{
		{100, 0, time.Minute, `"n";q=100;w=60`},
		{100, 0, 1500 * time.Millisecond, `"n";q=100`},
		{10, 50, time.Second, `"n";q=50;w=5`},
		{10, 1, time.Second, `"n";q=1`},
		{3, 1, time.Second, `"n";q=1`},
		{1 << 32, 1 << 32, ratelimit.MaxSliding, `"n";q=4294967296;w=2678400`},
	} {
		require.Equal(t, c.want, string(httplimit.AppendPolicy(nil, "n", c.limit, c.burst, c.window)))
	}
}

func TestNamesInProblemsAreThoseOfTheHeaders(t *testing.T) {
	odd := perMinute
	odd.Name, odd.Limit = "für \"alle\"\n", 1
	l := limit(t, httplimit.Config{Rules: rules(odd)})
	l.get()
	w := l.get()
	p := requireProblem(t, w, http.StatusTooManyRequests, "rate_limited")
	policies, err := httpsfv.UnmarshalList(w.Header().Values("RateLimit-Policy"))
	require.NoError(t, err)
	require.Equal(t, []string{policies[0].(httpsfv.Item).Value.(string)}, p.Violated)
}

func TestABurstIsTheCapacityOfABucket(t *testing.T) {
	rule := ratelimit.Rule{Name: "bucket", Algorithm: ratelimit.GCRA, Limit: 100, Burst: 20, Window: time.Minute}
	left := ratelimit.Result{Rule: &rule, Remaining: 19, ResetAfter: 600 * time.Millisecond}
	dec := ratelimit.Decision{Allowed: true, Results: []ratelimit.Result{left}}
	h := http.Header{}
	httplimit.SetHeaders(h, &dec)
	require.Equal(t, `"bucket";q=20;w=12`, h.Get("RateLimit-Policy"), "the rate is 100 a minute")
	require.Equal(t, `"bucket";r=19;t=1`, h.Get("RateLimit"))
	require.Equal(t, "20", h.Get("X-RateLimit-Limit"))

	rule.Burst = 0
	httplimit.SetHeaders(h, &dec)
	require.Equal(t, "20", h.Get("X-RateLimit-Limit"), "not set again: no less is left")
	h = http.Header{}
	httplimit.SetHeaders(h, &dec)
	require.Equal(t, "100", h.Get("X-RateLimit-Limit"))
}

func TestFamiliesOfHeadersCanBeLeftOut(t *testing.T) {
	for _, test := range []struct {
		name           string
		fields, legacy bool
	}{{"RateLimit", true, false}, {"X-RateLimit", false, true}, {"both", true, true}} {
		t.Run(test.name, func(t *testing.T) {
			l := limit(t, httplimit.Config{Rules: rules(perMinute), OmitRateLimit: test.fields, OmitXRateLimit: test.legacy})
			l.get()
			l.get()
			w := l.get()
			require.NotEmpty(t, w.Header().Get("Retry-After"))
			for _, name := range []string{"RateLimit", "RateLimit-Policy"} {
				require.Equal(t, test.fields, w.Header().Get(name) == "", name)
			}
			for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
				require.Equal(t, test.legacy, w.Header().Get(name) == "", name)
			}
		})
	}
}

func TestHeadersOfStackedLimitersAreJoined(t *testing.T) {
	route, address := perMinute, perMinute
	route.Name, route.Limit = "route", 1
	address.Name, address.Limit = "address", 3
	for name, order := range map[string][]ratelimit.Rule{
		"tighter inside": {address, route}, "tighter outside": {route, address},
	} {
		t.Run(name, func(t *testing.T) {
			inner := limit(t, httplimit.Config{Rules: order[1:]})
			outer, err := httplimit.New(ratelimit.NewMemory(), httplimit.Config{Rules: order[:1]})
			require.NoError(t, err)
			get := func() *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				outer.Wrap(inner.handler).ServeHTTP(w, request("192.0.2.1:1"))
				return w
			}
			w := get()
			limits, err := httpsfv.UnmarshalList(w.Header().Values("RateLimit"))
			require.NoError(t, err)
			require.Len(t, limits, 2)
			require.Equal(t, order[1].Name, limits[1].(httpsfv.Item).Value)
			require.Len(t, w.Header().Values("RateLimit-Policy"), 2)
			require.Equal(t, []string{"1"}, w.Header().Values("X-RateLimit-Limit"))
			require.Equal(t, []string{"0"}, w.Header().Values("X-RateLimit-Remaining"))
			w = get()
			require.Equal(t, http.StatusTooManyRequests, w.Code)
			require.Equal(t, []string{"1"}, w.Header().Values("X-RateLimit-Limit"))
		})
	}
}
