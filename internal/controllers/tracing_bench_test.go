package controllers_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/tracing"
)

// BenchmarkValidateTraced measures what tracing costs a check, to be compared
// with BenchmarkValidate: where it is not sampled, where one in a hundred is, and
// where each is.
func BenchmarkValidateTraced(b *testing.B) {
	for name, ratio := range map[string]float64{"none": 1e-12, "percent": 0.01, "all": 1} {
		b.Run(name, func(b *testing.B) {
			collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				assert.NoError(b, err)
			}))
			defer collector.Close()
			tracer := tracing.New(tracing.Options{Endpoint: collector.URL, Ratio: ratio, Timeout: time.Second, Service: "viva", Log: zap.NewNop()})
			defer tracer.Close(b.Context())
			s, body := warm(b, func(s *server) { s.tracer = tracer })
			benchmark(b, s, s, "/api/v1/validate", body)
		})
	}
}
