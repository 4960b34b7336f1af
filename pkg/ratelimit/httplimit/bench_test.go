package httplimit_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

// discard is a ResponseWriter whose headers are used again.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func admit(t testing.TB, config httplimit.Config, r *http.Request) (once func() bool) {
	limiter, err := httplimit.New(ratelimit.NewMemory(), config)
	require.NoError(t, err)
	w := &discard{http.Header{}}
	return func() bool {
		clear(w.header)
		return limiter.Admit(w, r)
	}
}

var costs = []struct {
	name   string
	limit  int64
	addr   string
	omit   bool
	admits bool
	allocs float64
}{
	{name: "admitted", limit: 1 << 32, addr: "192.0.2.1:1234", admits: true, allocs: 2},
	{name: "admitted IPv6", limit: 1 << 32, addr: "[2001:db8::1]:1234", admits: true, allocs: 3},
	{name: "admitted no headers", limit: 1 << 32, addr: "192.0.2.1:1234", omit: true, admits: true, allocs: 0},
	{name: "refused", limit: 1, addr: "192.0.2.1:1234", allocs: 3},
}

func BenchmarkAdmit(b *testing.B) {
	for _, c := range costs {
		b.Run(c.name, func(b *testing.B) {
			rule := perMinute
			rule.Limit, rule.Algorithm = c.limit, ratelimit.SlidingWindow
			config := httplimit.Config{Rules: rules(rule), OmitRateLimit: c.omit, OmitXRateLimit: c.omit}
			once := admit(b, config, request(c.addr))
			once()
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

func BenchmarkAdmitParallel(b *testing.B) {
	rule := perMinute
	rule.Limit, rule.Algorithm = 1<<32, ratelimit.SlidingWindow
	limiter, err := httplimit.New(ratelimit.NewMemory(), httplimit.Config{Rules: rules(rule)})
	require.NoError(b, err)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w, r := &discard{http.Header{}}, request("192.0.2.1:1234")
		for pb.Next() {
			clear(w.header)
			limiter.Admit(w, r)
		}
	})
}

func BenchmarkByForwardedFor(b *testing.B) {
	by, err := httplimit.ByForwardedFor("10.0.0.0/8", "fd00::/8")
	require.NoError(b, err)
	r := request("10.0.0.1:1234", "X-Forwarded-For", "1.1.1.1, 198.51.100.7, 10.0.0.2")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = by(r)
	}
}
