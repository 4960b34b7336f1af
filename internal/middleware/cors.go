package middleware

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// CORS lets pages of other origins call the API. Credentials are never
// allowed: a page sends its token in a header that it must know.
type CORS struct {
	AllowedOrigins []string // such as https://app.example.com, or * for all
	AllowedMethods []string
	AllowedHeaders []string
	MaxAge         time.Duration // how long browsers may remember a preflight
}

// exposed are the answer headers that scripts may read.
var exposed = strings.Join([]string{
	"ETag", "Idempotency-Replayed", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After",
	"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-Id",
}, ", ")

// Handler answers preflights and marks answers as readable by allowed origins.
func (o CORS) Handler() gin.HandlerFunc {
	methods, headers := strings.Join(o.AllowedMethods, ", "), strings.Join(o.AllowedHeaders, ", ")
	maxAge := strconv.FormatInt(int64(o.MaxAge/time.Second), 10)
	all := slices.Contains(o.AllowedOrigins, "*")
	return func(c *gin.Context) {
		h := c.Writer.Header()
		origin := c.Request.Header.Get("Origin")
		if !all {
			h.Add("Vary", "Origin")
		}
		if origin == "" || !all && !slices.Contains(o.AllowedOrigins, origin) {
			return
		}
		if all {
			origin = "*"
		}
		h.Set("Access-Control-Allow-Origin", origin)
		if !preflight(c) {
			h.Set("Access-Control-Expose-Headers", exposed)
			return
		}
		h.Del("Allow")
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", headers)
		h.Set("Access-Control-Max-Age", maxAge)
		c.AbortWithStatus(http.StatusNoContent)
	}
}

// preflight tells a browser's question from an OPTIONS that a route takes.
func preflight(c *gin.Context) bool {
	return c.Request.Method == http.MethodOptions && c.FullPath() == "" &&
		c.Request.Header.Get("Access-Control-Request-Method") != ""
}
