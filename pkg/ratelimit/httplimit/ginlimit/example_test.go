package ginlimit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit/ginlimit"
)

func Example() {
	// A clock that stands still, so that the output does.
	noon := time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)
	store := ratelimit.NewMemory(ratelimit.WithClock(func() time.Time { return noon }))
	limiter, err := httplimit.New(store, httplimit.Config{
		Rules: []ratelimit.Rule{{Scope: "api", Name: "per-minute", Limit: 1, Window: time.Minute}},
		Key: func(r *http.Request) (string, error) {
			return ginlimit.Context(r).GetString("user"), nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	router := gin.New()
	authenticate := func(c *gin.Context) { c.Set("user", "alice") }
	router.Use(authenticate, ginlimit.Middleware(limiter))
	router.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "hello") })

	for range 2 {
		w := httptest.NewRecorder()
		router.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Println(w.Code, w.Header().Get("RateLimit"), w.Header().Get("Content-Type"))
	}
	// Output:
	// 200 "per-minute";r=0;t=120 text/plain; charset=utf-8
	// 429 "per-minute";r=0;t=120 application/problem+json
}
