package app

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/viva/rate-limiter/internal/config"
)

// collector takes traces, as the collector of OpenTelemetry does.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	raw   strings.Builder // all that came, headers too
	spans []*otlp.Span
}

func newCollector(t *testing.T) *collector {
	c := new(collector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var batch otlp.TracesData
		if !assert.NoError(t, err) || !assert.NoError(t, proto.Unmarshal(body, &batch)) || !assert.Equal(t, "/v1/traces", r.URL.Path) ||
			!assert.Equal(t, "application/x-protobuf", r.Header.Get("Content-Type")) || !assert.Equal(t, "Bearer collector-token", r.Header.Get("Authorization")) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		for _, resource := range batch.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// environ has a process send its traces here.
func (c *collector) environ(ratio string) []string {
	return []string{"VIVA_TRACING_ENDPOINT=" + c.URL, "VIVA_TRACING_SAMPLE_RATIO=" + ratio, "VIVA_TRACING_HEADERS=authorization=Bearer collector-token", "VIVA_LOG_FORMAT=json"}
}

// trace gives the spans of a trace, each after the one it is a part of.
func (c *collector) trace(id string) (spans []*otlp.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if hex.EncodeToString(s.TraceId) == id {
			spans = append(spans, s)
		}
	}
	return spans
}

func named(spans []*otlp.Span, name string) *otlp.Span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return nil
}

func attributes(s *otlp.Span) map[string]any {
	list := map[string]any{}
	for _, a := range s.Attributes {
		list[a.Key] = a.Value.GetStringValue()
		if n := a.Value.GetIntValue(); n != 0 {
			list[a.Key] = n
		}
	}
	return list
}

// traced makes a call in the trace of a caller.
func (p *process) traced(trace, flags, method, path string, body any) object {
	p.t.Helper()
	p.headers = http.Header{"Traceparent": {"00-" + trace + "-00000000000000ca-" + flags}, "X-Forwarded-Secret": {"secret-of-a-header"}}
	defer func() { p.headers = nil }()
	_, answer := p.call(method, path, body)
	return answer
}

func TestARequestIsTracedFromItsCallerToTheDatabase(t *testing.T) {
	const (
		created   = "000000000000000000000000000000c1"
		checked   = "000000000000000000000000000000c2"
		unsampled = "000000000000000000000000000000c3"
	)
	for _, e := range allEngines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			sink := newCollector(t)
			p := run(t, e.role, append(e.environ(t), sink.environ("0")...)...)
			key := p.traced(created, "01", "POST", "/api/v1/keys", object{
				"name": "Name of a person", "metadata": object{"email": "person@mail.example"},
			})
			secret := key["secret"].(string)
			answer := p.traced(checked, "01", "POST", "/api/v1/validate", object{"api_key": secret})
			p.traced(unsampled, "00", "POST", "/api/v1/validate", object{"api_key": secret})
			p.traced(created, "01", "GET", "/api/v1/keys?owner=owner-in-a-query", nil)
			p.check(secret)
			p.do("GET", "/api/v1/keys", nil)
			require.NoError(t, p.Stop(t.Context()))

			spans := sink.trace(created)
			server := named(spans, "POST /api/v1/keys")
			require.NotNil(t, server)
			require.Equal(t, otlp.Span_SPAN_KIND_SERVER, server.Kind)
			require.Equal(t, "00000000000000ca", hex.EncodeToString(server.ParentSpanId))
			require.Equal(t, int64(http.StatusCreated), attributes(server)["http.response.status_code"])
			require.Equal(t, "/api/v1/keys", attributes(server)["http.route"])
			insert := named(spans, "INSERT")
			require.Equal(t, server.SpanId, insert.ParentSpanId)
			require.Contains(t, attributes(insert)["db.query.text"], map[string]string{"sqlite": "?", "postgresql": "$1"}[attributes(insert)["db.system.name"].(string)])
			require.Equal(t, server.SpanId, named(spans, "COMMIT").ParentSpanId)
			require.LessOrEqual(t, insert.StartTimeUnixNano, insert.EndTimeUnixNano)

			spans = sink.trace(checked)
			server = named(spans, "POST /api/v1/validate")
			require.Equal(t, answer["request_id"], attributes(server)["viva.request_id"])
			require.Equal(t, server.SpanId, named(spans, "SELECT").ParentSpanId, "the key is read, once")
			if e.role == config.RoleAPI {
				take := named(spans, "take limits")
				require.Equal(t, server.SpanId, take.ParentSpanId)
				require.Equal(t, take.SpanId, named(spans, "evalsha").ParentSpanId)
			}

			sink.mu.Lock()
			defer sink.mu.Unlock()
			for _, s := range sink.spans {
				require.Contains(t, []string{created, checked}, hex.EncodeToString(s.TraceId), "no other call is traced: %s", s.Name)
			}
			for _, hidden := range []string{
				secret, bootstrapToken, "secret-of-a-header", "collector-token", "owner-in-a-query", "Name of a person", "person@mail.example", "127.0.0.1",
			} {
				require.NotContains(t, sink.raw.String(), hidden)
			}
			line := p.line("request", "trace_id", checked)
			require.Equal(t, answer["request_id"], line["request_id"])
			require.Equal(t, hex.EncodeToString(server.SpanId), line["span_id"])
		})
	}
}

// line finds a line of the log by its message and one of its fields.
func (p *process) line(message, field, value string) object {
	p.t.Helper()
	for text := range strings.Lines(p.logs.String()) {
		var line object
		require.NoError(p.t, json.Unmarshal([]byte(text), &line), text)
		if line["msg"] == message && line[field] == value {
			return line
		}
	}
	require.Fail(p.t, "no such line", "%s with %s %s", message, field, value)
	return nil
}

func TestARunOfAJobIsTraced(t *testing.T) {
	sink := newCollector(t)
	p := run(t, config.RoleServe, sink.environ("1")...)
	require.Eventually(t, func() bool { return strings.Contains(p.logs.String(), `"kind":"usage:partitions"`) }, time.Minute, 20*time.Millisecond)
	require.NoError(t, p.Stop(t.Context()))
	line := p.line("job done", "kind", "usage:partitions")
	spans := sink.trace(line["trace_id"].(string))
	job := named(spans, "usage:partitions")
	require.Empty(t, job.ParentSpanId)
	require.Equal(t, hex.EncodeToString(job.SpanId), line["span_id"])
	about := attributes(job)
	require.Equal(t, fmt.Sprintf("usage:partitions::%d", about["viva.job.generation"]), line["job"])
	delete(about, "viva.job.generation")
	require.Equal(t, map[string]any{
		"viva.job.kind": "usage:partitions", "viva.job.subject": "", "viva.job.attempt": int64(1), "viva.job.outcome": "done",
	}, about)
	require.NotNil(t, named(spans, "COMMIT"), "the row is deleted in the course of it")
}

func TestNothingIsTracedUnlessItIsAskedFor(t *testing.T) {
	p := run(t, config.RoleServe)
	require.Nil(t, p.traces.tracer)
	require.Nil(t, p.traces.requests())
	require.Nil(t, p.traces.jobs())
	p.traced("000000000000000000000000000000c1", "01", "GET", "/api/v1/keys", nil)
	require.NotContains(t, p.logs.String(), "trace_id")
}

func TestACollectorThatDoesNotAnswerHoldsNothingUp(t *testing.T) {
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the end of the connection is seen
		<-r.Context().Done()
	}))
	t.Cleanup(stuck.Close)
	p := run(t, config.RoleServe, "VIVA_TRACING_ENDPOINT="+stuck.URL, "VIVA_TRACING_SAMPLE_RATIO=1", "VIVA_TRACING_TIMEOUT=100ms")
	for range 3000 { // more than wait to be sent
		_, span, _ := p.traces.tracer.Request(context.Background(), nil)
		span.End()
	}
	p.do("GET", "/api/v1/keys", nil)
	began := time.Now()
	require.NoError(t, p.Stop(t.Context()))
	require.Less(t, time.Since(began), 20*time.Second)
	require.Equal(t, 1, strings.Count(p.logs.String(), "traces cannot be sent"))
}
