package controllers_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// cached is what a warm cache holds.
type cached struct {
	directory *models.Directory
	snapshot  *models.Snapshot
}

// warm gives a server that answers checks from memory, and a check.
func warm(b *testing.B, options ...option) (*server, string) {
	s := newServer(b, append(options, func(s *server) { s.unobserved = true })...)
	_, secret := s.newKey(`"rules":[{"name":"demo","limit":4000000000,"window":"1h"},{"name":"per-minute","limit":4000000000,"window":"1m"},{"name":"monthly","limit":4000000000,"period":"month"}],"metadata":{"region":"eu"}`)
	directory, err := s.source.Directory(b.Context(), s.clock())
	require.NoError(b, err)
	snapshot, err := s.source.Snapshot(b.Context(), apikey.Sum(secret), s.clock())
	require.NoError(b, err)
	s.warm.Store(&cached{directory: directory, snapshot: snapshot})
	token, err := s.access.Authenticate(b.Context(), s.token, s.clock())
	require.NoError(b, err)
	s.warmToken.Store(token)
	return s, `{"api_key":"` + secret + `","cost":1,"method":"GET","endpoint":"/v1/users/42"}`
}

// discard is the answer of a client that reads nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func benchmark(b *testing.B, handler http.Handler, s *server, path, body string, headers ...string) {
	b.Helper()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := s.request(http.MethodPost, path, body)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		for pb.Next() {
			again := r.Clone(r.Context())
			again.Body = httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)).Body
			handler.ServeHTTP(discard{http.Header{}}, again)
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	s, body := warm(b)
	s.do(http.MethodPost, "/api/v1/validate", body).is(http.StatusOK)
	benchmark(b, s, s, "/api/v1/validate", body)
}

// BenchmarkValidateWithoutMetrics measures what metrics cost.
func BenchmarkValidateWithoutMetrics(b *testing.B) {
	s, body := warm(b, func(s *server) { s.untold = true })
	benchmark(b, s, s, "/api/v1/validate", body)
}

// BenchmarkValidateThroughHuma measures what the fast path saves.
func BenchmarkValidateThroughHuma(b *testing.B) {
	s, body := warm(b)
	benchmark(b, s, s, "/api/v1/validate", body, "Accept", "application/*")
}

// BenchmarkBare is the yardstick: Gin, decoding and encoding the same JSON by
// reflection, and nothing else.
func BenchmarkBare(b *testing.B) {
	s, body := warm(b)
	var example struct {
		Allowed    bool              `json:"allowed"`
		Code       string            `json:"code"`
		RequestID  string            `json:"request_id"`
		Degraded   bool              `json:"degraded"`
		RetryAfter int64             `json:"retry_after_ms,omitempty"`
		Key        map[string]any    `json:"key"`
		Limits     []map[string]any  `json:"limits"`
		Headers    map[string]string `json:"headers"`
	}
	answer := s.do(http.MethodPost, "/api/v1/validate", body).is(http.StatusOK)
	require.NoError(b, json.Unmarshal(answer.Body.Bytes(), &example))
	engine := gin.New()
	engine.POST("/bare", func(c *gin.Context) {
		var check struct {
			APIKey   string `json:"api_key"`
			Cost     int64  `json:"cost"`
			Method   string `json:"method"`
			Endpoint string `json:"endpoint"`
		}
		if err := c.ShouldBindJSON(&check); err != nil {
			c.AbortWithStatus(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusOK, &example)
	})
	benchmark(b, engine, s, "/bare", body)
}

func BenchmarkValidateBatch(b *testing.B) { benchmarkBatch(b) }

func BenchmarkValidateBatchWithoutMetrics(b *testing.B) {
	benchmarkBatch(b, func(s *server) { s.untold = true })
}

func benchmarkBatch(b *testing.B, options ...option) {
	s, body := warm(b, options...)
	batch := `{"checks":[` + strings.TrimSuffix(strings.Repeat(body+",", 100), ",") + `]}`
	s.do(http.MethodPost, "/api/v1/validate/batch", batch).is(http.StatusOK)
	benchmark(b, s, s, "/api/v1/validate/batch", batch)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/check")
}
