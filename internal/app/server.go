package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/controllers"
	"github.com/viva/rate-limiter/internal/middleware"
)

// serve adds the HTTP server of the process.
func (a *App) serve(ctx context.Context, addr string, handler http.Handler) (err error) {
	a.listener, err = a.serveAt(ctx, "http", addr, handler, a.listen)
	return err
}

// serveAt adds an HTTP server for the handler, which listen runs. Its address is
// taken now, so that a port in use fails before anything runs.
func (a *App) serveAt(ctx context.Context, name, addr string, handler http.Handler, listen func(*http.Server, net.Listener) error) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := a.cfg.Server
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: s.ReadHeaderTimeout,
		ReadTimeout:       s.ReadTimeout,
		WriteTimeout:      s.WriteTimeout,
		IdleTimeout:       s.IdleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          zap.NewStdLog(a.log.Named(name)),
	}
	a.parts.opened(name+" listener", func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil // the server has closed it
	})
	done := make(chan struct{})
	a.parts.add(name+" server", func(context.Context) error {
		go func() { // ends with Shutdown, which awaits it
			defer close(done)
			err := listen(server, listener)
			if !errors.Is(err, http.ErrServerClosed) {
				a.parts.fail(name+" server", err)
			}
		}()
		return nil
	}, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, s.ShutdownTimeout)
		defer cancel()
		err := server.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, server.Close())
		}
		<-done
		return err
	})
	return listener, nil
}

func (a *App) listen(server *http.Server, listener net.Listener) error {
	if tls := a.cfg.Server.TLS; tls.CertFile != "" {
		return server.ServeTLS(listener, tls.CertFile, tls.KeyFile)
	}
	return server.Serve(listener)
}

// newEngine makes the router with everything that stands before its handlers.
func (a *App) newEngine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	cors, security := a.cfg.Server.CORS, a.cfg.Server.SecurityHeaders
	middleware.Install(engine, middleware.Options{
		Log: a.log.Named("http"), Busy: controllers.CheckRoutes, Requests: a.metrics.requests, Tracer: a.traces.requests(), Now: time.Now, Proxies: a.cfg.Server.TrustedProxies,
		CORS: middleware.CORS{
			AllowedOrigins: cors.AllowedOrigins, AllowedMethods: cors.AllowedMethods,
			AllowedHeaders: cors.AllowedHeaders, MaxAge: cors.MaxAge,
		},
		Security: middleware.Security{
			Enabled: security.Enabled, HSTSMaxAge: security.HSTSMaxAge, HSTSIncludeSubdomains: security.HSTSIncludeSubdomains,
		},
	})
	return engine
}
