// Package ginlimit is the middleware of package httplimit for Gin. Floor F0; it
// imports package httplimit, Gin and the standard library.
//
//	limiter, err := httplimit.New(store, httplimit.Config{
//		Rules: []ratelimit.Rule{{Scope: "api", Name: "per-minute", Limit: 100, Window: time.Minute}},
//		Key: func(r *http.Request) (string, error) {
//			return ginlimit.Context(r).GetString("user"), nil // set by the authentication before
//		},
//	})
//	if err != nil {
//		return err
//	}
//	router.Use(authenticate, ginlimit.Middleware(limiter))
//
// Everything else is as package httplimit says: keys, rules, refusals, headers.
// Be careful with Gin's own Context.ClientIP as a key: it believes
// X-Forwarded-For from everyone until Engine.SetTrustedProxies says otherwise.
// httplimit.ByIP, the default, and httplimit.ByForwardedFor do not.
package ginlimit

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

// Middleware returns the handler that passes on what limiter admits. What it
// refuses is answered and aborted. It is safe for concurrent use.
func Middleware(limiter *httplimit.Limiter) gin.HandlerFunc {
	return func(c *gin.Context) {
		// A copy: the handlers that follow get the request as it came.
		r := c.Request.WithContext(context.WithValue(c.Request.Context(), contextKey{}, c))
		if !limiter.Admit(c.Writer, r) {
			c.Abort()
		}
	}
}

type contextKey struct{}

// Context returns the Gin context of a request that Middleware passes to the
// functions of an httplimit.Config, for its route, parameters and values. It is
// nil for every other request.
func Context(r *http.Request) *gin.Context {
	c, _ := r.Context().Value(contextKey{}).(*gin.Context)
	return c
}
