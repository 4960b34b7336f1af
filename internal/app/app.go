// Package app is the composition root: it opens the engines, joins services to
// them, puts the HTTP API in front, and starts and stops it all in order.
//
// Floor F4. It may import every lower floor; only the command line imports it.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
	// Time zones must not depend on what the machine has installed.
	_ "time/tzdata"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/config"
)

// Options of a process.
type Options struct {
	Role    config.Role
	Log     io.Writer
	Version string
}

// App is one process: `viva serve`, api or worker.
type App struct {
	cfg      *config.Config
	role     config.Role
	log      *zap.Logger
	level    *logLevel
	parts    *lifecycle
	listener net.Listener
	metrics  *instruments
	traces   traces
	scraped  net.Listener // nil where metrics have no listener of their own
}

// New opens everything the process needs. An App that was made must be
// started, or stopped.
func New(ctx context.Context, cfg *config.Config, o Options) (_ *App, err error) {
	log, level, err := newLogger(cfg, o.Log)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	a := &App{cfg: cfg, role: o.Role, log: log, level: level, parts: newLifecycle(log), metrics: newInstruments(o.Role, o.Version)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.parts.stop(ctx))
		}
	}()
	a.parts.opened("log level", level.close)
	if a.traces, err = newTraces(cfg, o.Version, a.parts, log); err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	engines, err := openEngines(ctx, cfg, o.Role, a.parts, a.metrics, a.traces, log)
	if err != nil {
		return nil, err
	}
	telling := newNotifications(cfg, o.Version, engines.db, a.parts, a.metrics, a.traces, log)
	alerting := newAlerts(engines.db, log)
	if o.Role != config.RoleAPI {
		jobs := handlers{upkeep: newUsageUpkeep(cfg, engines.db)}
		if err := a.work(engines, slices.Concat(jobs.kinds(), notificationKinds(telling), alertKinds(alerting), violationKinds(cfg, engines, log))); err != nil {
			return nil, err
		}
	}
	a.metrics.connections(engines)
	probes := engines.probes(cfg, o.Role)
	a.metrics.dependencies(probes)
	probes = logged(probes, log)
	if o.Role == config.RoleWorker {
		return a, a.serveHealth(ctx, o, probes)
	}
	headroom()
	services, err := newServices(cfg, engines, a.parts, a.metrics, log)
	if err != nil {
		return nil, err
	}
	services.notifications, services.alerts = telling, alerting
	if err := bootstrap(ctx, cfg, o.Role, services.access, log); err != nil {
		return nil, err
	}
	return a, a.serveAPI(ctx, o, engines, services, probes)
}

// Start begins to work; when it returns, the process answers.
func (a *App) Start(ctx context.Context) error {
	if err := a.parts.start(ctx); err != nil {
		return err
	}
	a.log.Info("started", zap.String("process", string(a.role)), zap.String("addr", a.listener.Addr().String()))
	return nil
}

// ToggleDebug turns debug lines in the log on, or the configured level back.
func (a *App) ToggleDebug() { a.level.toggle() }

// Failed tells when a part has ended by itself; the process should then stop.
func (a *App) Failed() <-chan error { return a.parts.failed }

// Stop finishes what was taken and closes everything, last opened first. What
// is not finished when ctx ends is cut off.
func (a *App) Stop(ctx context.Context) error {
	began := time.Now()
	err := a.parts.stop(ctx)
	a.log.Info("stopped", zap.Duration("took", time.Since(began)), zap.Error(err))
	// The log's own end cannot be reported anywhere.
	_ = a.log.Sync()
	return err
}

// URL is where the process answers.
func (a *App) URL() string {
	scheme := "http"
	if a.cfg.Server.TLS.CertFile != "" && a.role != config.RoleWorker {
		scheme = "https"
	}
	return scheme + "://" + a.listener.Addr().String()
}

// Greeting tells a person how to go on.
func (a *App) Greeting() string {
	if a.role == config.RoleWorker {
		return fmt.Sprintf("viva worker is ready: %s/health\n", a.URL())
	}
	text := fmt.Sprintf("viva is ready: %s", a.URL())
	if a.cfg.Server.Docs.Enabled {
		text += fmt.Sprintf(" (documentation: %s/docs)", a.URL())
	}
	return text + "\n"
}
