package middleware

import (
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"
)

// Options of what stands before every handler.
type Options struct {
	Log      *zap.Logger
	Busy     []string // routes asked so often that their lines are at debug level
	Requests Requests // told of every request; nil tells nobody
	Tracer   Tracer   // nil traces nothing
	Now      func() time.Time
	Proxies  Proxies
	CORS     CORS
	Security Security
}

// Install makes the engine answer everything, unknown paths and methods
// included, in the order the package describes.
func Install(engine *gin.Engine, o Options) {
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	// Gin's own reading of forwarding headers is off: see Proxies.
	engine.ForwardedByClientIP = false
	engine.Use(RequestID())
	if o.Tracer != nil {
		engine.Use(Trace(o.Tracer))
	}
	engine.Use(AccessLog(o.Log, o.Busy, o.Proxies, o.Now, o.Requests), Recovery(o.Log), Problems())
	if o.Security.Enabled {
		engine.Use(o.Security.Handler())
	}
	if len(o.CORS.AllowedOrigins) > 0 {
		engine.Use(o.CORS.Handler())
	}
	engine.NoRoute(noRoute)
	engine.NoMethod(noMethod)
}
