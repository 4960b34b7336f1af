package tracing_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/protobuf/proto"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/tracing"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a collector, and a tracer that sends to it.
type sink struct {
	*tracing.Tracer
	t   *testing.T
	log *observer.ObservedLogs

	mu     sync.Mutex
	status int // what is answered
	spans  map[string]*otlp.Span
}

func newSink(t *testing.T, ratio float64) *sink {
	s := &sink{t: t, status: http.StatusOK, spans: map[string]*otlp.Span{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var batch otlp.TracesData
		assert.NoError(t, errors.Join(err, proto.Unmarshal(body, &batch)))
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(s.status)
		for _, resource := range batch.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					s.spans[span.Name] = span
				}
			}
		}
	}))
	t.Cleanup(server.Close)
	core, log := observer.New(zap.DebugLevel)
	s.log = log
	s.Tracer = tracing.New(tracing.Options{
		Endpoint: server.URL + "/v1/traces", Ratio: ratio, Timeout: 5 * time.Second, Service: "viva", Version: "1", Node: "n", Log: zap.New(core),
	})
	t.Cleanup(func() { s.Close(context.WithoutCancel(t.Context())) })
	return s
}

// sent gives what was sent once all of it was.
func (s *sink) sent() map[string]*otlp.Span {
	s.Close(s.t.Context())
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spans
}

func TestWhoDecidesWhetherARequestIsTraced(t *testing.T) {
	const id = "00-000000000000000000000000000000c1-00000000000000ca-"
	for _, row := range []struct {
		name, traceparent string
		ratio             float64
		traced, continued bool
	}{
		{"chance, never", "", 0, false, false},
		{"chance, always", "", 1, true, false},
		{"the caller, who does", id + "01", 0, true, true},
		{"the caller, who does not", id + "00", 1, false, false},
		{"chance, as the caller makes no sense", "00-zz-01", 1, true, false},
		{"chance, as the caller's trace has no id", "00-00000000000000000000000000000000-00000000000000ca-01", 0, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSink(t, row.ratio)
			h := http.Header{}
			if row.traceparent != "" {
				h.Set("Traceparent", row.traceparent)
			}
			ctx, span, ok := s.Request(t.Context(), h)
			require.Equal(t, row.traced, ok)
			if !ok {
				require.Equal(t, t.Context(), ctx, "nothing was made")
				return
			}
			require.Equal(t, span, trace.SpanFromContext(ctx))
			require.Equal(t, row.continued, span.SpanContext().TraceID().String() == id[3:35])
			span.End()
			require.Contains(t, s.sent(), "request")
		})
	}
}

// sender answers what it is told to.
type sender models.Sent

func (s sender) Send(context.Context, *models.Destination, string, *models.Message) models.Sent {
	return models.Sent(s)
}

// store fails, or does not.
type store struct {
	ratelimit.Store
	err error
}

func (s store) Take(context.Context, *ratelimit.Request, *ratelimit.Decision) error { return s.err }

func TestEdgesMakeSpansWhereSomebodyIsTraced(t *testing.T) {
	s := newSink(t, 1)
	hook := &models.Destination{ID: "d-1", Type: models.DestinationWebhook, URL: "https://hooks.example/secret-path"}
	edges := func(ctx context.Context) {
		s.Sending(sender{Status: 500, Error: "answered 500"}).Send(ctx, hook, "person@mail.example", new(models.Message))
		require.ErrorIs(t, s.Limits(store{err: ratelimit.ErrUnavailable}).Take(ctx, new(ratelimit.Request), new(ratelimit.Decision)), ratelimit.ErrUnavailable)
		s.Statement("sqlite")(ctx, time.Now(), func() (string, int64) {
			require.True(t, trace.SpanFromContext(ctx).IsRecording(), "the text is not made for nobody")
			return "UPDATE t SET a = ?", 2
		}, "timeout")
	}
	edges(t.Context())
	ctx, ended := s.Job(t.Context(), &models.Job{Kind: models.JobNotifyDeliver, Subject: "x", Generation: 3}, 2)
	edges(ctx)
	ended("retried", true)

	spans := s.sent()
	require.Len(t, spans, 4)
	job := spans["notify:deliver"]
	require.Equal(t, otlp.Status_STATUS_CODE_ERROR, job.Status.Code)
	for name, kind := range map[string]string{"send webhook": "not_delivered", "take limits": "error", "UPDATE": "timeout"} {
		require.Equal(t, job.SpanId, spans[name].ParentSpanId)
		require.Equal(t, otlp.Status_STATUS_CODE_ERROR, spans[name].Status.Code)
		require.Contains(t, spans[name].String(), `"`+kind+`"`)
		require.NotContains(t, spans[name].String(), "secret-path")
		require.NotContains(t, spans[name].String(), "mail.example")
	}
}

func TestWhatIsNotTakenIsDroppedAndToldOnce(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusTemporaryRedirect, http.StatusUnauthorized} {
		s := newSink(t, 1)
		s.status = status
		_, span, _ := s.Request(t.Context(), nil)
		for range 2000 { // several batches
			_, other := s.Start(t.Context(), "more")
			other.End()
		}
		span.End()
		s.sent()
		lines := s.log.FilterMessageSnippet("cannot be sent").All()
		require.Len(t, lines, 1)
		require.Contains(t, lines[0].ContextMap()["error"], http.StatusText(status))
	}
}
