package httplimit_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/storetest"
)

var perMinute = ratelimit.Rule{
	Scope: "api", Name: "per-minute", Algorithm: ratelimit.FixedWindow, Limit: 2, Window: time.Minute,
}

func rules(r ...ratelimit.Rule) []ratelimit.Rule { return r }

func shadow(rule ratelimit.Rule) ratelimit.Rule {
	rule.Shadow = true
	return rule
}

// A limited handler, the clock of its store, and what reached it.
type limited struct {
	t       *testing.T
	clock   *storetest.Clock
	handler http.Handler
	reached int
}

func limit(t *testing.T, config httplimit.Config) *limited {
	clock := storetest.NewClock()
	return limitBy(t, ratelimit.NewMemory(ratelimit.WithClock(clock.Now)), clock, config)
}

func limitBy(t *testing.T, store ratelimit.Store, clock *storetest.Clock, config httplimit.Config) *limited {
	limiter, err := httplimit.New(store, config)
	require.NoError(t, err)
	l := &limited{t: t, clock: clock}
	l.handler = limiter.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { l.reached++ }))
	return l
}

func (l *limited) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	return w
}

func (l *limited) get() *httptest.ResponseRecorder { return l.send(request("192.0.2.1:1234")) }

func request(remoteAddr string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = remoteAddr
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// problem is what the body of a refusal says.
type problem struct {
	Type         string   `json:"type"`
	Title        string   `json:"title"`
	Status       int      `json:"status"`
	Detail       string   `json:"detail"`
	Code         string   `json:"code"`
	Violated     []string `json:"violated-policies"`
	RetryAfterMS int64    `json:"retry_after_ms"`
}

func requireProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code string) problem {
	t.Helper()
	require.Equal(t, status, w.Code)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	var p problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, status, p.Status)
	require.Equal(t, code, p.Code)
	require.NotEmpty(t, p.Title)
	return p
}

func TestALimitIsAdmittedExactlyAndAgainWhenItSays(t *testing.T) {
	l := limit(t, httplimit.Config{Rules: rules(perMinute)})
	l.clock.Advance(18500 * time.Millisecond)
	w := l.get()
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, http.Header{
		"Ratelimit":             {`"per-minute";r=1;t=42`},
		"Ratelimit-Policy":      {`"per-minute";q=2;w=60`},
		"X-Ratelimit-Limit":     {"2"},
		"X-Ratelimit-Remaining": {"1"},
		"X-Ratelimit-Reset":     {"1773144060"},
	}, w.Header())
	require.Equal(t, http.StatusOK, l.get().Code)

	w = l.get()
	p := requireProblem(t, w, http.StatusTooManyRequests, "rate_limited")
	require.Equal(t, "https://iana.org/assignments/http-problem-types#quota-exceeded", p.Type)
	require.Equal(t, []string{"per-minute"}, p.Violated)
	require.Equal(t, int64(41500), p.RetryAfterMS)
	require.Equal(t, "42", w.Header().Get("Retry-After"))
	require.Equal(t, `"per-minute";r=0;t=42`, w.Header().Get("RateLimit"))
	require.Equal(t, 2, l.reached)

	l.clock.Advance(41500*time.Millisecond - 1)
	require.Equal(t, http.StatusTooManyRequests, l.get().Code)
	l.clock.Advance(1)
	require.Equal(t, http.StatusOK, l.get().Code)
}

func TestARefusalSpendsNothingOfOtherRules(t *testing.T) {
	hour := ratelimit.Rule{Scope: "api", Name: "per-hour", Limit: 10, Window: time.Hour}
	l := limit(t, httplimit.Config{Rules: rules(perMinute, hour)})
	for range 5 {
		l.get()
	}
	w := l.get()
	p := requireProblem(t, w, http.StatusTooManyRequests, "rate_limited")
	require.Equal(t, []string{"per-minute"}, p.Violated)
	require.Contains(t, w.Header().Get("RateLimit"), `"per-hour";r=8`)
	require.Equal(t, `"per-minute";q=2;w=60, "per-hour";q=10;w=3600`, w.Header().Get("RateLimit-Policy"))
	require.Equal(t, "2", w.Header().Get("X-RateLimit-Limit"))
}

func TestShadowRulesAreSeenByTheObserverOnly(t *testing.T) {
	var seen []bool
	l := limit(t, httplimit.Config{
		Rules: rules(shadow(perMinute)),
		Observe: func(_ *http.Request, o *httplimit.Outcome) {
			seen = append(seen, o.Decision.Results[0].WouldDeny)
		},
	})
	for range 3 {
		w := l.get()
		require.Equal(t, http.StatusOK, w.Code)
		require.Empty(t, w.Header())
	}
	require.Equal(t, []bool{false, false, true}, seen)
}

func TestKeysAreCountedApart(t *testing.T) {
	l := limit(t, httplimit.Config{
		Rules: rules(perMinute),
		Key:   func(r *http.Request) (string, error) { return r.Header.Get("User"), nil },
	})
	for _, user := range []string{"a", "b"} {
		for range 2 {
			require.Equal(t, http.StatusOK, l.send(request("", "User", user)).Code)
		}
		require.Equal(t, http.StatusTooManyRequests, l.send(request("", "User", user)).Code)
	}
}

func TestRulesMayDependOnTheRequest(t *testing.T) {
	pro := perMinute
	pro.Limit = 3
	plans := map[string][]ratelimit.Rule{
		"free": rules(perMinute), "pro": rules(pro), "unlimited": nil, "broken": make([]ratelimit.Rule, 1),
	}
	var failed error
	l := limit(t, httplimit.Config{
		RulesFor: func(r *http.Request, key string) ([]ratelimit.Rule, error) {
			require.Equal(t, "192.0.2.1", key)
			if plan, ok := plans[r.Header.Get("Plan")]; ok {
				return plan, nil
			}
			return nil, errors.New("no such plan")
		},
		Observe: func(_ *http.Request, o *httplimit.Outcome) { failed = o.Err },
	})
	send := func(plan string) *httptest.ResponseRecorder { return l.send(request("192.0.2.1:1", "Plan", plan)) }
	for range 2 {
		require.Equal(t, http.StatusOK, send("free").Code)
	}
	require.Equal(t, http.StatusTooManyRequests, send("free").Code)
	require.Equal(t, http.StatusOK, send("pro").Code, "another limit keeps the count")
	require.Equal(t, http.StatusTooManyRequests, send("pro").Code)
	require.Empty(t, plans["free"][0].ID, "the slice is not written to")

	w := send("unlimited")
	require.Equal(t, http.StatusOK, w.Code)
	require.Empty(t, w.Header())
	requireProblem(t, send("?"), http.StatusInternalServerError, "internal")
	require.EqualError(t, failed, "rules: no such plan")
	requireProblem(t, send("broken"), http.StatusInternalServerError, "internal")
	require.ErrorIs(t, failed, ratelimit.ErrInvalid)
}

func TestAnIDOfARuleIsTheKeyUnlessGiven(t *testing.T) {
	shared := perMinute
	shared.Name, shared.ID = "shared", "team"
	var ids []string
	l := limit(t, httplimit.Config{
		Rules: rules(perMinute, shared),
		Observe: func(_ *http.Request, o *httplimit.Outcome) {
			require.Equal(t, "192.0.2.1", o.Key)
			for _, result := range o.Decision.Results {
				ids = append(ids, result.Rule.ID)
			}
		},
	})
	l.get()
	require.Equal(t, []string{"192.0.2.1", "team"}, ids)
}

func TestCosts(t *testing.T) {
	cost, failure := int64(0), error(nil)
	l := limit(t, httplimit.Config{
		Rules: rules(perMinute), FailOpen: true,
		Cost:    func(*http.Request) (int64, error) { return cost, failure },
		Observe: func(*http.Request, *httplimit.Outcome) {},
	})
	for range 3 {
		require.Equal(t, "2", l.get().Header().Get("X-RateLimit-Remaining"), "0 looks without spending")
	}
	cost = 2
	require.Equal(t, "0", l.get().Header().Get("X-RateLimit-Remaining"))
	requireProblem(t, l.get(), http.StatusTooManyRequests, "rate_limited")

	cost = 3
	w := l.get()
	p := requireProblem(t, w, http.StatusForbidden, "cost_exceeds_limit")
	require.Equal(t, []string{"per-minute"}, p.Violated)
	require.Zero(t, p.RetryAfterMS)
	require.Empty(t, p.Type)
	require.Equal(t, "Forbidden", p.Title)
	require.Empty(t, w.Header().Get("Retry-After"), "no waiting helps")
	require.Equal(t, "0", w.Header().Get("X-RateLimit-Remaining"))

	for _, cost = range []int64{-1, ratelimit.MaxCost + 1} {
		requireProblem(t, l.get(), http.StatusInternalServerError, "internal")
	}
	failure = errors.New("unreadable")
	requireProblem(t, l.get(), http.StatusInternalServerError, "internal")
	require.Equal(t, 4, l.reached, "FailOpen lets none of these in")
}

func TestEveryAlgorithmAdmitsWhenItSaid(t *testing.T) {
	for _, algorithm := range []ratelimit.Algorithm{
		ratelimit.SlidingWindow, ratelimit.FixedWindow, ratelimit.GCRA, ratelimit.SlidingLog,
	} {
		t.Run(algorithm.String(), func(t *testing.T) {
			rule := perMinute
			rule.Algorithm, rule.Limit = algorithm, 7
			capacity := rule.Limit
			if algorithm == ratelimit.GCRA {
				rule.Burst, capacity = 3, 3
			}
			l := limit(t, httplimit.Config{Rules: rules(rule)})
			l.clock.Advance(12345 * time.Millisecond)
			w := l.get()
			for w.Code == http.StatusOK {
				require.Equal(t, capacity, number(t, w.Header(), "X-RateLimit-Limit"))
				require.Equal(t, capacity-int64(l.reached), number(t, w.Header(), "X-RateLimit-Remaining"))
				w = l.get()
			}
			require.Equal(t, capacity, int64(l.reached))
			p := requireProblem(t, w, http.StatusTooManyRequests, "rate_limited")
			require.Equal(t, (p.RetryAfterMS+999)/1000, number(t, w.Header(), "Retry-After"))
			l.clock.Advance(time.Duration(p.RetryAfterMS-1) * time.Millisecond)
			require.Equal(t, http.StatusTooManyRequests, l.get().Code)
			l.clock.Advance(time.Millisecond)
			require.Equal(t, http.StatusOK, l.get().Code)
		})
	}
}

func TestSkippedRequestsAreNotLimited(t *testing.T) {
	l := limit(t, httplimit.Config{
		Rules:   rules(perMinute),
		Skip:    func(r *http.Request) bool { return r.URL.Path == "/health" },
		Key:     func(*http.Request) (string, error) { panic("not asked") },
		Observe: func(*http.Request, *httplimit.Outcome) { panic("not told") },
	})
	for range 5 {
		w := l.send(httptest.NewRequest(http.MethodGet, "/health", nil))
		require.Equal(t, http.StatusOK, w.Code)
		require.Empty(t, w.Header())
	}
	require.Panics(t, func() { l.get() })
}

func TestRefusalsCanBeAnsweredOtherwise(t *testing.T) {
	l := limit(t, httplimit.Config{
		Rules: rules(perMinute),
		Refuse: func(w http.ResponseWriter, r *http.Request, o *httplimit.Outcome) {
			if r.Header.Get("Accept") != "text/html" {
				o.WriteProblem(w)
				return
			}
			require.Equal(t, http.StatusTooManyRequests, o.Status)
			require.Equal(t, "rate_limited", o.Code)
			require.Equal(t, time.Minute, o.Decision.RetryAfter())
			http.Redirect(w, r, "/busy", http.StatusSeeOther)
		},
	})
	l.get()
	l.get()
	requireProblem(t, l.get(), http.StatusTooManyRequests, "rate_limited")
	w := l.send(request("192.0.2.1:1", "Accept", "text/html"))
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "60", w.Header().Get("Retry-After"), "the headers are set before")
}
