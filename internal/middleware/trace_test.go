package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/internal/models"
)

// tracer traces all requests but those that ask not to be.
type tracer struct{ trace.Tracer }

func (t tracer) Request(ctx context.Context, h http.Header) (context.Context, trace.Span, bool) {
	if h.Get("Traceparent") != "" {
		return ctx, nil, false
	}
	in, span := t.Start(ctx, "request")
	return in, span, true
}

func TestASpanNamesTheRouteAndNothingElseOfTheRequest(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	s := newStack(t, func(o *middleware.Options) { o.Tracer = tracer{provider.Tracer("test")} })
	s.GET("/things/:id", func(c *gin.Context) {
		require.True(t, trace.SpanFromContext(c.Request.Context()).IsRecording())
		ok(c)
	})
	s.GET("/fails", func(c *gin.Context) { _ = c.Error(errors.New("the secret cause")) })
	s.GET("/panics", func(*gin.Context) { panic("the secret panic") })

	s.send("GET", "/panics", "Traceparent", "not to be")
	require.NotContains(t, s.line(), "trace_id")
	s.send("GET", "/things/secret-id?token=secret-query")
	require.Contains(t, s.line(), "trace_id")
	for _, target := range []string{"/fails", "/panics", "/secret/unknown"} {
		s.send("GET", target)
	}
	ended := spans.Ended()
	require.Len(t, ended, 4)
	want := []struct {
		name   string
		status int
		failed string
	}{{"GET /things/:id", 200, ""}, {"GET /fails", 500, "internal"}, {"GET /panics", 500, "internal"}, {"GET", 404, ""}}
	for i, span := range ended {
		about := attribute.NewSet(span.Attributes()...)
		require.Equal(t, want[i].name, span.Name())
		status, _ := about.Value("http.response.status_code")
		require.Equal(t, int64(want[i].status), status.AsInt64())
		kind, _ := about.Value("error.type")
		require.Equal(t, want[i].failed, kind.AsString())
		require.Equal(t, want[i].failed != "", span.Status().Code == codes.Error)
		require.Empty(t, span.Events())
		for _, a := range span.Attributes() {
			require.NotContains(t, a.Value.String(), "secret")
		}
	}
}

func TestLinesOfARequestCarryItsID(t *testing.T) {
	s := newStack(t)
	known := &tokens{valid: map[string]*models.AccessToken{"known": reader}}
	var fields map[string]any
	s.GET("/", s.authentication(known).Bearer("keys:read"), func(c *gin.Context) {
		core, lines := observer.New(zap.DebugLevel)
		zap.New(core).Info("line", logging.In(c.Request.Context()))
		fields = lines.All()[0].ContextMap()
	})
	s.send("GET", "/", "X-Request-Id", "r-1", "Authorization", "Bearer known")
	require.Equal(t, map[string]any{"request_id": "r-1"}, fields)
	require.Equal(t, "r-1", s.line()["request_id"])
}
