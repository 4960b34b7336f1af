// Package logging joins the lines of the log to the request or the job in whose
// course they were written.
//
// Floor F1. It imports nothing of this module. It is safe for concurrent use.
package logging

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// scope is a context whose lines carry fields. It is one piece of memory, as
// there is one for each request.
type scope struct {
	context.Context
	request string
	fields  []zap.Field
}

type scopeKey struct{}

// Value gives the scope itself, or what is above it.
func (s *scope) Value(key any) any {
	if key == (scopeKey{}) {
		return s
	}
	return s.Context.Value(key)
}

// With returns a context whose lines carry these fields, and those that ctx gives
// them already.
func With(ctx context.Context, fields ...zap.Field) context.Context {
	return &scope{Context: ctx, fields: fields}
}

// WithRequest returns a context whose lines carry the id of a request. It costs
// less than [With], as every request pays it.
func WithRequest(ctx context.Context, id string) context.Context {
	return &scope{Context: ctx, request: id}
}

// In is a field that makes a line carry the fields of ctx and, where ctx is in a
// span that is traced, trace_id and span_id. It costs nothing where the line is
// not written.
func In(ctx context.Context) zap.Field { return zap.Inline(lines{ctx}) }

// Traced is a field that makes a line carry trace_id and span_id alone.
func Traced(ctx context.Context) zap.Field { return zap.Inline(traced{ctx}) }

type lines struct{ ctx context.Context }

// MarshalLogObject adds the fields, the outermost first.
func (l lines) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	addTo(enc, l.ctx)
	return traced(l).MarshalLogObject(enc)
}

type traced struct{ ctx context.Context }

// MarshalLogObject adds the ids of the span.
func (t traced) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	if span := trace.SpanContextFromContext(t.ctx); span.IsSampled() {
		enc.AddString("trace_id", span.TraceID().String())
		enc.AddString("span_id", span.SpanID().String())
	}
	return nil
}

func addTo(enc zapcore.ObjectEncoder, ctx context.Context) {
	s, ok := ctx.Value(scopeKey{}).(*scope)
	if !ok {
		return
	}
	addTo(enc, s.Context)
	if s.request != "" {
		enc.AddString("request_id", s.request)
	}
	for i := range s.fields {
		s.fields[i].AddTo(enc)
	}
}
