package middleware

import (
	"slices"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/internal/models"
)

// AccessLog writes one line for each request: at error level, with the cause,
// where the answer is 5xx, else at info level, or at debug level where the route
// is one of the busy. It names the route, never the path, and no query, header or
// body: those hold secrets. It also tells requests, unless that is nil, so that
// the clock is read for both at once.
func AccessLog(log *zap.Logger, busy []string, proxies Proxies, now func() time.Time, requests Requests) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := now()
		if requests != nil {
			requests.Began()
		}
		// Deferred, so that an answer that was cut off is logged as well.
		defer func() {
			took := now().Sub(start)
			if requests != nil {
				ended(c, requests, took)
			}
			level := zapcore.InfoLevel
			switch {
			case c.Writer.Status() >= 500:
				level = zapcore.ErrorLevel
			case slices.Contains(busy, c.FullPath()):
				level = zapcore.DebugLevel
			}
			if entry := log.Check(level, "request"); entry != nil {
				entry.Write(requestFields(c, proxies, took)...)
			}
		}()
		c.Next()
	}
}

func requestFields(c *gin.Context, proxies Proxies, took time.Duration) []zap.Field {
	actor := models.ActorFrom(c.Request.Context())
	if actor.IP == "" {
		actor.IP = proxies.ClientIP(c.Request).String()
	}
	fields := make([]zap.Field, 0, 10)
	fields = append(fields,
		zap.String("method", methodForLog(c)),
		zap.String("route", c.FullPath()),
		zap.Int("status", c.Writer.Status()),
		zap.Duration("duration", took),
		zap.Int("bytes", max(0, c.Writer.Size())),
		zap.String("request_id", requestID(c.Writer.Header())),
		zap.String("client_ip", actor.IP),
		logging.Traced(c.Request.Context()),
	)
	if actor.ID != "" {
		fields = append(fields, zap.String("actor_id", actor.ID))
	}
	if last := c.Errors.Last(); last != nil {
		fields = append(fields, zap.String("code", string(Problem(last.Err).Code)))
		if c.Writer.Status() >= 500 {
			fields = append(fields, zap.Error(last.Err))
		}
	}
	return fields
}

// methodForLog leaves out the method of a request that no route took: callers
// may write anything in its place.
func methodForLog(c *gin.Context) string {
	if c.FullPath() == "" && len(c.Request.Method) > len("OPTIONS") {
		return ""
	}
	return c.Request.Method
}
