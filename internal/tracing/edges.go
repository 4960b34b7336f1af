package tracing

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Job begins the span of one run of a job. Ended is told whether the run failed.
func (t *Tracer) Job(ctx context.Context, job *models.Job, attempt int) (in context.Context, ended func(outcome string, failed bool)) {
	if !t.chosen() {
		return ctx, func(string, bool) {}
	}
	in, span := t.Start(ctx, string(job.Kind), trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("viva.job.kind", string(job.Kind)), attribute.String("viva.job.subject", job.Subject),
		attribute.Int64("viva.job.generation", job.Generation), attribute.Int("viva.job.attempt", attempt),
	))
	return in, func(outcome string, failed bool) {
		span.SetAttributes(attribute.String("viva.job.outcome", outcome))
		if failed {
			fail(span, outcome)
		}
		span.End()
	}
}

// Statement makes the span of a statement that has just ended. The text is asked
// for only where there is one, and has placeholders in place of values; reason
// says why it failed, in a word, and is empty where it did not.
func (t *Tracer) Statement(engine string) func(ctx context.Context, began time.Time, text func() (sql string, rows int64), reason string) {
	system := semconv.DBSystemNameSQLite
	if engine == "postgres" {
		system = semconv.DBSystemNamePostgreSQL
	}
	return func(ctx context.Context, began time.Time, text func() (string, int64), reason string) {
		if !trace.SpanFromContext(ctx).IsRecording() {
			return
		}
		sql, rows := text()
		verb, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
		_, span := t.Start(ctx, verb, trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			system, semconv.DBQueryText(sql), semconv.DBOperationName(verb), attribute.Int64("viva.db.rows", rows),
		))
		if reason != "" {
			fail(span, reason)
		}
		span.End()
	}
}

// Redis makes spans of commands, by their names alone.
func (t *Tracer) Redis() redis.Hook { return redisHook{t} }

type redisHook struct{ tracer *Tracer }

func (redisHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		ctx, span, ok := h.tracer.child(ctx, cmd.FullName(), semconv.DBSystemNameRedis, semconv.DBOperationName(cmd.FullName()))
		if !ok {
			return next(ctx, cmd)
		}
		defer span.End()
		return redisEnded(span, next(ctx, cmd))
	}
}

func (h redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, span, ok := h.tracer.child(ctx, "pipeline", semconv.DBSystemNameRedis, semconv.DBOperationBatchSize(len(cmds)))
		if !ok {
			return next(ctx, cmds)
		}
		defer span.End()
		return redisEnded(span, next(ctx, cmds))
	}
}

func redisEnded(span trace.Span, err error) error {
	if err != nil && !errors.Is(err, redis.Nil) {
		fail(span, kindOf(err))
	}
	return err
}

// Limits makes spans of takes: one may share its round trip with others, and then
// the command is in the trace of one of them alone.
func (t *Tracer) Limits(store ratelimit.Store) ratelimit.Store { return tracedLimits{store, t} }

type tracedLimits struct {
	ratelimit.Store
	tracer *Tracer
}

// Take takes from the store.
func (l tracedLimits) Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) error {
	ctx, span, ok := l.tracer.child(ctx, "take limits", attribute.Int("viva.limits.rules", len(req.Rules)))
	if !ok {
		return l.Store.Take(ctx, req, dec)
	}
	defer span.End()
	err := l.Store.Take(ctx, req, dec)
	if errors.Is(err, ratelimit.ErrUnavailable) {
		fail(span, kindOf(err))
	}
	return err
}

// Sender makes one attempt to tell a destination of a message.
type Sender interface {
	Send(ctx context.Context, d *models.Destination, to string, m *models.Message) models.Sent
}

// Sending makes spans of attempts. Receivers are told nothing of the trace.
func (t *Tracer) Sending(s Sender) Sender { return tracedSender{s, t} }

type tracedSender struct {
	Sender
	tracer *Tracer
}

// Send makes the attempt.
func (s tracedSender) Send(ctx context.Context, d *models.Destination, to string, m *models.Message) models.Sent {
	ctx, span, ok := s.tracer.child(ctx, "send "+string(d.Type),
		attribute.String("viva.destination.type", string(d.Type)), attribute.String("viva.destination.id", string(d.ID)))
	if !ok {
		return s.Sender.Send(ctx, d, to, m)
	}
	defer span.End()
	sent := s.Sender.Send(ctx, d, to, m)
	if sent.Status != 0 && d.Type != models.DestinationEmail {
		span.SetAttributes(semconv.HTTPRequestMethodPost, semconv.HTTPResponseStatusCode(sent.Status))
	}
	if !sent.Delivered {
		fail(span, "not_delivered")
	}
	return sent
}

// kindOf says in a word why something failed.
func kindOf(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.As(err, &network):
		return "network"
	}
	return "error"
}
