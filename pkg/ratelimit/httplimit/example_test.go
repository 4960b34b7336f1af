package httplimit_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

// newStore makes a store whose clock stands still, so that the output does. The
// usual one is ratelimit.NewMemory().
func newStore() ratelimit.Store {
	noon := time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)
	return ratelimit.NewMemory(ratelimit.WithClock(func() time.Time { return noon }))
}

// api is the handler to be limited.
var api = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })

func get(handler http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func Example() {
	limiter, err := httplimit.New(newStore(), httplimit.Config{
		Rules: []ratelimit.Rule{
			{Scope: "api", Name: "per-minute", Limit: 2, Window: time.Minute},
			{Scope: "api", Name: "per-day", Limit: 100, Window: 24 * time.Hour},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := limiter.Wrap(api)
	for range 3 {
		w := get(handler, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Println(w.Code, w.Header().Get("RateLimit"))
		if w.Code == http.StatusTooManyRequests {
			fmt.Println("try again in", w.Header().Get("Retry-After"), "seconds")
		}
	}
	// Output:
	// 200 "per-minute";r=1;t=120, "per-day";r=99;t=129600
	// 200 "per-minute";r=0;t=90, "per-day";r=98;t=86400
	// 429 "per-minute";r=0;t=90, "per-day";r=98;t=86400
	// try again in 90 seconds
}

func ExampleConfig_rulesFor() {
	plans := map[string][]ratelimit.Rule{
		"free": {{Scope: "api", Name: "per-minute", Limit: 60, Window: time.Minute}},
		"pro":  {{Scope: "api", Name: "per-minute", Limit: 1000, Window: time.Minute}},
	}
	users := map[string]string{"alice": "pro", "bob": "free"}
	limiter, err := httplimit.New(newStore(), httplimit.Config{
		Key: func(r *http.Request) (string, error) {
			user, _, _ := r.BasicAuth() // which an authentication before has checked
			return user, nil
		},
		RulesFor: func(_ *http.Request, user string) ([]ratelimit.Rule, error) {
			rules, ok := plans[users[user]]
			if !ok {
				return nil, errors.New("a user without a plan")
			}
			return rules, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := limiter.Wrap(api)
	for _, user := range []string{"alice", "bob", ""} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(user, "secret")
		w := get(handler, r)
		fmt.Println(w.Code, w.Header().Get("RateLimit-Policy"))
	}
	// Output:
	// 200 "per-minute";q=1000;w=60
	// 200 "per-minute";q=60;w=60
	// 400
}

func ExampleConfig_observe() {
	limiter, err := httplimit.New(newStore(), httplimit.Config{
		Rules: []ratelimit.Rule{
			{Scope: "api", Name: "per-minute", Limit: 2, Window: time.Minute},
			{Scope: "api", Name: "trial", Limit: 1, Window: time.Minute, Shadow: true},
		},
		Observe: func(_ *http.Request, o *httplimit.Outcome) {
			if o.Err != nil {
				fmt.Println("not decided:", o.Err)
				return
			}
			for _, result := range o.Decision.Results {
				switch {
				case result.Denied:
					fmt.Println(o.Key, "refused by", result.Rule.Name)
				case result.WouldDeny:
					fmt.Println(o.Key, "would be refused by", result.Rule.Name)
				}
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := limiter.Wrap(api)
	for range 3 {
		get(handler, httptest.NewRequest(http.MethodGet, "/", nil))
	}
	// Output:
	// 192.0.2.1 would be refused by trial
	// 192.0.2.1 refused by per-minute
	// 192.0.2.1 would be refused by trial
}

func ExampleConfig_refuse() {
	limiter, err := httplimit.New(newStore(), httplimit.Config{
		Rules: []ratelimit.Rule{{Scope: "site", Name: "per-minute", Limit: 1, Window: time.Minute}},
		Refuse: func(w http.ResponseWriter, r *http.Request, o *httplimit.Outcome) {
			if r.Header.Get("Accept") == "text/plain" {
				http.Error(w, "Too much. Try again later.", o.Status)
				return
			}
			o.WriteProblem(w)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := limiter.Wrap(api)
	for range 2 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept", "text/plain")
		w := get(handler, r)
		fmt.Println(w.Code, w.Header().Get("Content-Type"))
	}
	// Output:
	// 200 text/plain; charset=utf-8
	// 429 text/plain; charset=utf-8
}

func ExampleByForwardedFor() {
	key, err := httplimit.ByForwardedFor("10.0.0.0/8", "fd00::/8")
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", "1.1.1.1, 203.0.113.9, 10.0.0.2")
	fmt.Println(key(r)) // 1.1.1.1 is what 203.0.113.9 claimed

	r.RemoteAddr = "198.51.100.7:4711"
	fmt.Println(key(r)) // it has not come through a proxy
	// Output:
	// 203.0.113.9 <nil>
	// 198.51.100.7 <nil>
}

func ExampleByHeader() {
	key, err := httplimit.ByHeader("X-Api-Key")
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	fmt.Println(key(r))
	r.Header.Set("X-Api-Key", "secret")
	fmt.Println(key(r))
	// Output:
	// the request does not say who is asking: header X-Api-Key must come once
	// K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols <nil>
}

func ExampleAddrKey() {
	// Behind a network that puts the client's address into a header of its own,
	// and lets no connection around it.
	limiter, err := httplimit.New(newStore(), httplimit.Config{
		Rules: []ratelimit.Rule{{Scope: "api", Name: "per-minute", Limit: 2, Window: time.Minute}},
		Key: func(r *http.Request) (string, error) {
			addr, err := netip.ParseAddr(r.Header.Get("Client-Ip"))
			return httplimit.AddrKey(addr), err
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := limiter.Wrap(api)
	for _, addr := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:3::"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Client-Ip", addr)
		fmt.Println(get(handler, r).Code)
	}
	// Output:
	// 200
	// 200
	// 429
}

func ExampleLimiter_Admit() {
	limiter, err := httplimit.New(newStore(), httplimit.Config{
		Rules: []ratelimit.Rule{{Scope: "login", Name: "login", Limit: 1, Window: time.Minute}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !limiter.Admit(w, r) {
			return
		}
		fmt.Fprint(w, "hello")
	})
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPost} {
		fmt.Println(method, get(handler, httptest.NewRequest(method, "/login", nil)).Code)
	}
	// Output:
	// POST 200
	// GET 200
	// POST 429
}

func ExampleSetHeaders() {
	rule := ratelimit.Rule{Scope: "job", ID: "7", Name: "per-hour", Limit: 10, Window: time.Hour}
	req := ratelimit.Request{Group: "customer 42", Cost: 4, Rules: []ratelimit.Rule{rule}}
	var dec ratelimit.Decision
	if err := newStore().Take(httptest.NewRequest(http.MethodGet, "/", nil).Context(), &req, &dec); err != nil {
		fmt.Println(err)
		return
	}
	header := http.Header{}
	httplimit.SetHeaders(header, &dec)
	fmt.Println(header.Get("RateLimit-Policy"))
	fmt.Println(header.Get("RateLimit"))
	// Output:
	// "per-hour";q=10;w=3600
	// "per-hour";r=6;t=4500
}
