package app

import (
	"context"
	"net/http"
	"net/url"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/notifications"
	"github.com/viva/rate-limiter/internal/tracing"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// traces puts tracing where there is something to trace. Where it is off, the
// tracer is nil and nothing is put anywhere.
type traces struct{ tracer *tracing.Tracer }

// newTraces makes what traces the process, if it is to be traced. It is the first
// of its parts: it ends when nothing is left that could be traced.
func newTraces(cfg *config.Config, version string, l *lifecycle, log *zap.Logger) (traces, error) {
	c := cfg.Tracing
	if c.Endpoint == "" {
		return traces{}, nil
	}
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil {
		return traces{}, err
	}
	if endpoint.Path == "" || endpoint.Path == "/" {
		endpoint.Path = "/v1/traces"
	}
	var headers http.Header
	if c.Headers != "" {
		if headers, err = config.ParseHeaders(string(c.Headers)); err != nil {
			return traces{}, err
		}
	}
	tracer := tracing.New(tracing.Options{
		Endpoint: endpoint.String(), Headers: headers, Ratio: c.SampleRatio, Timeout: c.Timeout,
		Service: c.ServiceName, Version: version, Node: nodeName(), Log: log.Named("tracing"),
	})
	l.add("traces", nil, func(ctx context.Context) error {
		tracer.Close(ctx)
		return nil
	})
	return traces{tracer}, nil
}

// requests is what traces requests.
func (t traces) requests() middleware.Tracer {
	if t.tracer == nil {
		return nil
	}
	return t.tracer
}

// statements has the database tell of what it did.
func (t traces) statements(o *repositories.Options, cfg *config.Config) {
	if t.tracer == nil {
		return
	}
	engine := repositories.Postgres
	if cfg.Database.URL == "" {
		engine = repositories.SQLite
	}
	o.OnStatement = t.tracer.Statement(engine)
}

// redis traces the commands of a client.
func (t traces) redis(client redis.UniversalClient) {
	if t.tracer != nil {
		client.AddHook(t.tracer.Redis())
	}
}

// limits traces takes from the shared limit store.
func (t traces) limits(store ratelimit.Store) ratelimit.Store {
	if t.tracer == nil {
		return store
	}
	return t.tracer.Limits(store)
}

// sending traces attempts to deliver notifications.
func (t traces) sending(sender notifications.Sender) notifications.Sender {
	if t.tracer == nil {
		return sender
	}
	return t.tracer.Sending(sender)
}

// jobs is what traces the runs of jobs.
func (t traces) jobs() func(context.Context, *models.Job, int) (context.Context, func(string, bool)) {
	if t.tracer == nil {
		return nil
	}
	return t.tracer.Job
}
