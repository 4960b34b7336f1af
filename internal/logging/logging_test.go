package logging_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/viva/rate-limiter/internal/logging"
)

// written gives the fields of a line that was written in ctx.
func written(ctx context.Context) map[string]any {
	core, lines := observer.New(zap.DebugLevel)
	zap.New(core).Info("line", zap.String("own", "field"), logging.In(ctx))
	return lines.All()[0].ContextMap()
}

func TestALineCarriesWhatItsContextSays(t *testing.T) {
	outer := logging.WithRequest(t.Context(), "r-1")
	inner := logging.With(outer, zap.String("kind", "k"), zap.Int("attempt", 2))
	require.Equal(t, map[string]any{"own": "field"}, written(t.Context()))
	require.Equal(t, map[string]any{"own": "field", "request_id": "r-1"}, written(outer))
	require.Equal(t, map[string]any{"own": "field", "request_id": "r-1", "kind": "k", "attempt": int64(2)}, written(inner))
}

func TestALineNamesOnlyATraceThatIsKept(t *testing.T) {
	span := trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2}}
	require.Equal(t, map[string]any{"own": "field"}, written(trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(span))))
	span.TraceFlags = trace.FlagsSampled
	require.Equal(t, map[string]any{"own": "field", "trace_id": "00000000000000000000000000000001", "span_id": "0000000000000002"},
		written(trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(span))))
}
