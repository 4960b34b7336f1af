package ginlimit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit/ginlimit"
)

// Routes and warnings would be printed into the output of the example.
func init() { gin.SetMode(gin.ReleaseMode) }

var perMinute = ratelimit.Rule{
	Scope: "api", Name: "per-minute", Algorithm: ratelimit.FixedWindow, Limit: 2, Window: time.Minute,
}

func newLimiter(t testing.TB, config httplimit.Config) *httplimit.Limiter {
	if config.RulesFor == nil {
		config.Rules = []ratelimit.Rule{perMinute}
	}
	limiter, err := httplimit.New(ratelimit.NewMemory(), config)
	require.NoError(t, err)
	return limiter
}

func send(handler http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestRefusedRequestsAreAborted(t *testing.T) {
	reached, before := 0, 0
	router := gin.New()
	router.Use(func(c *gin.Context) {
		c.Next()
		before++
	}, ginlimit.Middleware(newLimiter(t, httplimit.Config{})))
	router.Any("/", func(c *gin.Context) {
		reached++
		require.Nil(t, ginlimit.Context(c.Request), "the request is the one that came")
		c.String(http.StatusOK, "hello")
	})
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		w := send(router, method, "/")
		require.Equal(t, http.StatusOK, w.Code)
		require.NotEmpty(t, w.Header().Get("RateLimit"))
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
		w := send(router, method, "/")
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		require.NotEmpty(t, w.Header().Get("Retry-After"))
		require.Contains(t, w.Body.String(), `"code":"rate_limited"`)
	}
	require.Equal(t, 2, reached)
	require.Equal(t, 5, before)
}

func TestFunctionsSeeTheGinContext(t *testing.T) {
	router := gin.New()
	router.Use(func(c *gin.Context) { c.Set("user", c.Query("user")) })
	router.Use(ginlimit.Middleware(newLimiter(t, httplimit.Config{
		Skip: func(r *http.Request) bool { return ginlimit.Context(r).FullPath() == "/health" },
		Key:  func(r *http.Request) (string, error) { return ginlimit.Context(r).GetString("user"), nil },
		RulesFor: func(r *http.Request, _ string) ([]ratelimit.Rule, error) {
			rule := perMinute
			rule.Name = ginlimit.Context(r).FullPath()
			return []ratelimit.Rule{rule}, nil
		},
		Refuse: func(_ http.ResponseWriter, r *http.Request, o *httplimit.Outcome) {
			ginlimit.Context(r).JSON(o.Status, gin.H{"error": o.Code})
		},
	})))
	ok := func(c *gin.Context) { c.Status(http.StatusOK) }
	router.GET("/items/:id", ok)
	router.GET("/health", ok)
	for _, user := range []string{"a", "b"} {
		for range 2 {
			w := send(router, http.MethodGet, "/items/1?user="+user)
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, `"/items/:id";q=2;w=60`, w.Header().Get("RateLimit-Policy"))
		}
		w := send(router, http.MethodGet, "/items/2?user="+user)
		require.Equal(t, http.StatusTooManyRequests, w.Code)
		require.JSONEq(t, `{"error":"rate_limited"}`, w.Body.String())
	}
	w := send(router, http.MethodGet, "/items/1")
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.JSONEq(t, `{"error":"unidentified"}`, w.Body.String())
	require.Equal(t, http.StatusOK, send(router, http.MethodGet, "/health").Code)
}

type failing struct{ ratelimit.Store }

func (failing) Take(context.Context, *ratelimit.Request, *ratelimit.Decision) error {
	return ratelimit.ErrUnavailable
}

func TestAFailingStore(t *testing.T) {
	for failOpen, status := range map[bool]int{false: http.StatusServiceUnavailable, true: http.StatusOK} {
		var seen error
		limiter, err := httplimit.New(failing{}, httplimit.Config{
			Rules: []ratelimit.Rule{perMinute}, FailOpen: failOpen,
			Observe: func(_ *http.Request, o *httplimit.Outcome) { seen = o.Err },
		})
		require.NoError(t, err)
		router := gin.New()
		router.Use(ginlimit.Middleware(limiter))
		router.GET("/", func(c *gin.Context) { c.Status(http.StatusOK) })
		require.Equal(t, status, send(router, http.MethodGet, "/").Code)
		require.ErrorIs(t, seen, ratelimit.ErrUnavailable)
	}
}

func TestTheRequestsContextEndsTheDecision(t *testing.T) {
	router := gin.New()
	router.Use(ginlimit.Middleware(newLimiter(t, httplimit.Config{FailOpen: true})))
	router.GET("/", func(*gin.Context) { t.Error("reached") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	router.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
}

func TestPanicsAreLeftToRecovery(t *testing.T) {
	router := gin.New()
	var recovered any
	router.Use(gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, err any) {
		recovered = err
		c.AbortWithStatus(http.StatusInternalServerError)
	}), ginlimit.Middleware(newLimiter(t, httplimit.Config{})))
	broken := errors.New("broken")
	router.GET("/", func(*gin.Context) { panic(broken) })
	require.Equal(t, http.StatusInternalServerError, send(router, http.MethodGet, "/").Code)
	require.Equal(t, broken, recovered)
}

func TestTheWriterKeepsWhatItCan(t *testing.T) {
	router := gin.New()
	router.Use(ginlimit.Middleware(newLimiter(t, httplimit.Config{})))
	router.GET("/", func(c *gin.Context) {
		c.Writer.Flush()
		conn, _, err := c.Writer.Hijack()
		if err == nil {
			_, _ = conn.Write([]byte("0\r\n\r\n")) // the last chunk of the answer that was begun
			conn.Close()
		}
	})
	server := httptest.NewServer(router)
	defer server.Close()
	answer, err := http.Get(server.URL)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.NotEmpty(t, answer.Header.Get("RateLimit"))
}

func TestContextOfOtherRequests(t *testing.T) {
	require.Nil(t, ginlimit.Context(httptest.NewRequest(http.MethodGet, "/", nil)))
}

func BenchmarkMiddleware(b *testing.B) {
	for _, limited := range []bool{false, true} {
		name := map[bool]string{false: "bare", true: "limited"}[limited]
		b.Run(name, func(b *testing.B) {
			router := gin.New()
			if limited {
				many := []ratelimit.Rule{{Scope: "api", Name: "per-minute", Limit: 1 << 32, Window: time.Minute}}
				router.Use(ginlimit.Middleware(newLimiter(b, httplimit.Config{
					RulesFor: func(*http.Request, string) ([]ratelimit.Rule, error) { return many, nil },
				})))
			}
			router.GET("/", func(*gin.Context) {})
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				clear(w.Header())
				router.ServeHTTP(w, r)
			}
		})
	}
}
