// Package tracing sends traces of requests and jobs to an OpenTelemetry
// collector, and makes the spans of what they wait for: statements, commands of
// Redis, notifications.
//
// Only what is sampled costs anything: where there is no span that is recorded,
// nothing below it makes one. Spans hold no key, token, query, body, value of a
// statement or personal data, and no text of an error, which may quote them.
//
// Floor F3. It may import models and the packages of floor F0.
package tracing

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// Options of a Tracer; all but Headers are needed.
type Options struct {
	// Endpoint is the URL that batches of spans are posted to, as OTLP in protobuf.
	Endpoint string
	Headers  http.Header // sent with each batch
	// Ratio is how many of the requests and jobs that no caller decided about are
	// traced, from 0 to 1.
	Ratio   float64
	Timeout time.Duration // of sending one batch, and of Close
	Service string        // the name of this service in traces
	Version string        // of the program
	Node    string        // which of its processes this is
	Log     *zap.Logger
}

// Tracer begins spans and sends those that have ended, in the background. What
// the collector does not take in time is dropped. It is safe for concurrent use.
type Tracer struct {
	trace.Tracer
	provider *sdk.TracerProvider
	exporter *exporter
	ratio    float64
	timeout  time.Duration
}

// New makes a Tracer. It connects when it has something to send. Close it.
func New(o Options) *Tracer {
	e := newExporter(o)
	provider := sdk.NewTracerProvider(
		// Tracer decides about what begins here, before anything is made for it.
		sdk.WithSampler(sdk.ParentBased(sdk.AlwaysSample())),
		sdk.WithBatcher(e, sdk.WithExportTimeout(o.Timeout)),
		sdk.WithRawSpanLimits(limits()),
		sdk.WithResource(resource.NewSchemaless(
			semconv.ServiceName(o.Service), semconv.ServiceVersion(o.Version), semconv.ServiceInstanceID(o.Node),
		)),
	)
	return &Tracer{
		Tracer: provider.Tracer("github.com/viva/rate-limiter"), provider: provider, exporter: e, ratio: o.Ratio, timeout: o.Timeout,
	}
}

// limits bound what one span holds, whatever is done in its course.
func limits() sdk.SpanLimits {
	l := sdk.NewSpanLimits()
	l.AttributeValueLengthLimit = maxText
	return l
}

// maxText bounds the text of an attribute, in bytes: some statements are long.
const maxText = 2048

// Close sends what has ended. It takes at most Options.Timeout: what is not sent
// by then is dropped, which the log is told.
func (t *Tracer) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	defer context.AfterFunc(ctx, t.exporter.cancel)()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.exporter.failed(err) // and no more: traces are no reason for a process to end badly
	}
}

var w3c propagation.TraceContext

// Request begins the span of a request, as a part of its caller's trace where it
// says so in traceparent. Ok is false, and nothing was made, where the request is
// not traced: its caller decided so, or there is none and chance did. The span is still to be named.
func (t *Tracer) Request(ctx context.Context, h http.Header) (in context.Context, span trace.Span, ok bool) {
	if len(h["Traceparent"]) > 0 {
		continued := w3c.Extract(ctx, propagation.HeaderCarrier(h))
		if caller := trace.SpanContextFromContext(continued); caller.IsValid() {
			if !caller.IsSampled() {
				return ctx, nil, false
			}
			in, span = t.Start(continued, "request", trace.WithSpanKind(trace.SpanKindServer))
			return in, span, true
		}
	}
	if !t.chosen() {
		return ctx, nil, false
	}
	in, span = t.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
	return in, span, true
}

// chosen decides about what begins here.
func (t *Tracer) chosen() bool { return t.ratio > 0 && rand.Float64() < t.ratio }

// child begins the span of something that is waited for, unless nothing that
// waits is traced.
func (t *Tracer) child(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span, bool) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, nil, false
	}
	in, span := t.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	return in, span, true
}

// fail marks a span as failed. The kind of the failure is one of few words.
func fail(span trace.Span, kind string) {
	span.SetStatus(codes.Error, "")
	span.SetAttributes(semconv.ErrorTypeKey.String(kind))
}
