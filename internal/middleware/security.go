package middleware

import (
	"fmt"
	"time"

	"github.com/gin-gonic/gin"
)

// Security are the answer headers that restrain browsers. Handlers of pages
// loosen the policy for what they show.
type Security struct {
	Enabled               bool
	HSTSMaxAge            time.Duration // 0 sends no Strict-Transport-Security
	HSTSIncludeSubdomains bool
}

// Handler sets the headers.
func (o Security) Handler() gin.HandlerFunc {
	headers := map[string][]string{
		"Cache-Control":           {"no-store"},
		"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
		"Referrer-Policy":         {"no-referrer"},
		"X-Content-Type-Options":  {"nosniff"},
		"X-Frame-Options":         {"DENY"},
	}
	if o.HSTSMaxAge > 0 {
		hsts := fmt.Sprintf("max-age=%d", int64(o.HSTSMaxAge/time.Second))
		if o.HSTSIncludeSubdomains {
			hsts += "; includeSubDomains"
		}
		headers["Strict-Transport-Security"] = []string{hsts}
	}
	return func(c *gin.Context) {
		h := c.Writer.Header()
		for name, value := range headers {
			// The slices are shared: they are full, so appending to one copies it.
			h[name] = value
		}
	}
}
