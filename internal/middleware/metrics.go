package middleware

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Requests is told of requests as they begin and end. Every request waits for it:
// it must return at once.
type Requests interface {
	Began()
	// Ended is told of a method of the usual ones, or "other", and of the pattern
	// of the route, or "none".
	Ended(method, route string, status int, took time.Duration)
}

// ended tells what is of a bounded number: callers may write anything as a path,
// and in place of a method.
func ended(c *gin.Context, requests Requests, took time.Duration) {
	route := c.FullPath()
	if route == "" {
		route = "none"
	}
	requests.Ended(knownMethod(c.Request.Method), route, c.Writer.Status(), took)
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}
