package middleware

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Tracer begins the span of a request that is to be traced: ok is false, and ctx
// as it was, for any other.
type Tracer interface {
	Request(ctx context.Context, h http.Header) (in context.Context, span trace.Span, ok bool)
}

// Trace makes spans of requests. Like the access log, they name the route and
// never the path.
func Trace(tracer Tracer) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, span, ok := tracer.Request(c.Request.Context(), c.Request.Header)
		if !ok {
			return
		}
		c.Request = c.Request.WithContext(ctx)
		// Deferred, so that an answer that was cut off is told as well.
		defer func() {
			span.SetName(strings.TrimSpace(methodForLog(c) + " " + c.FullPath()))
			span.SetAttributes(
				attribute.String("http.request.method", methodForLog(c)),
				attribute.String("http.route", c.FullPath()),
				attribute.Int("http.response.status_code", c.Writer.Status()),
				attribute.String("viva.request_id", requestID(c.Writer.Header())),
			)
			if c.Writer.Status() >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
				if last := c.Errors.Last(); last != nil {
					span.SetAttributes(attribute.String("error.type", string(Problem(last.Err).Code)))
				}
			}
			span.End()
		}()
		c.Next()
	}
}
