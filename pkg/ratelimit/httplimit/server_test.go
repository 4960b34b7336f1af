package httplimit_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

func serve(t *testing.T, store ratelimit.Store, config httplimit.Config, next http.HandlerFunc) *httptest.Server {
	limiter, err := httplimit.New(store, config)
	require.NoError(t, err)
	server := httptest.NewServer(limiter.Wrap(next))
	t.Cleanup(server.Close)
	return server
}

// received is an answer, read.
type received struct {
	status int
	header http.Header
	length int64 // as announced
	body   string
}

func call(t *testing.T, method, url string) received {
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return received{answer.StatusCode, answer.Header, answer.ContentLength, string(body)}
}

func TestMethodsOverTheWire(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			server := serve(t, ratelimit.NewMemory(), httplimit.Config{Rules: rules(perMinute)},
				func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
			for range 2 {
				got := call(t, method, server.URL)
				require.Equal(t, http.StatusNoContent, got.status)
				require.NotEmpty(t, got.header.Get("RateLimit"))
			}
			got := call(t, method, server.URL)
			require.Equal(t, http.StatusTooManyRequests, got.status)
			require.NotEmpty(t, got.header.Get("Retry-After"))
			require.Positive(t, got.length)
			if method == http.MethodHead {
				require.Empty(t, got.body)
			} else {
				require.Len(t, got.body, int(got.length))
				require.Contains(t, got.body, `"code":"rate_limited"`)
			}
		})
	}
}

func TestTheResponseWriterIsTheServersOwn(t *testing.T) {
	limiter, err := httplimit.New(ratelimit.NewMemory(), httplimit.Config{Rules: rules(perMinute)})
	require.NoError(t, err)
	server := httptest.NewServer(limiter.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/flush" {
			_, _ = io.WriteString(w, "first\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		conn, buffer, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = buffer.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		_ = buffer.Flush()
	})))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/flush", nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	require.NoError(t, err, "before the handler has ended")
	require.Equal(t, "first\n", line)
	cancel()
	answer.Body.Close()

	require.Equal(t, http.StatusSwitchingProtocols, call(t, http.MethodGet, server.URL+"/hijack").status)

	var passed http.ResponseWriter
	w := httptest.NewRecorder()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { passed = w })
	limiter.Wrap(next).ServeHTTP(w, request("192.0.2.1:1"))
	require.Same(t, w, passed)
}

func TestPanicsOfTheHandlerPassThrough(t *testing.T) {
	limiter, err := httplimit.New(ratelimit.NewMemory(), httplimit.Config{Rules: rules(perMinute)})
	require.NoError(t, err)
	handler := limiter.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	for range 2 {
		require.PanicsWithValue(t, http.ErrAbortHandler, func() {
			handler.ServeHTTP(httptest.NewRecorder(), request("192.0.2.1:1"))
		})
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request("192.0.2.1:1"))
	requireProblem(t, w, http.StatusTooManyRequests, "rate_limited")
}

// hanging is a store that answers when the context is done.
type hanging struct {
	ratelimit.Store
	asked chan struct{}
}

func (h hanging) Take(ctx context.Context, _ *ratelimit.Request, _ *ratelimit.Decision) error {
	close(h.asked)
	<-ctx.Done()
	return fmt.Errorf("take: %w: %w", ratelimit.ErrUnavailable, ctx.Err())
}

func TestAClientThatHangsUpWhileTheStoreDecides(t *testing.T) {
	store := hanging{asked: make(chan struct{})}
	outcomes := make(chan httplimit.Outcome, 1)
	reached := false
	server := serve(t, store, httplimit.Config{
		Rules: rules(perMinute), FailOpen: true,
		Observe: func(_ *http.Request, o *httplimit.Outcome) { outcomes <- *o },
	}, func(http.ResponseWriter, *http.Request) { reached = true })
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	go func() {
		<-store.asked
		cancel()
	}()
	answer, err := http.DefaultClient.Do(req)
	if err == nil {
		answer.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	o := <-outcomes
	require.False(t, o.Admitted)
	require.Equal(t, "timeout", o.Code)
	require.ErrorIs(t, o.Err, context.Canceled)
	server.Close()
	require.False(t, reached)
}

func TestHugeHeadersOverTheWire(t *testing.T) {
	byKey, err := httplimit.ByHeader("X-Api-Key")
	require.NoError(t, err)
	config := httplimit.Config{Rules: rules(perMinute), Key: byKey}
	server := serve(t, ratelimit.NewMemory(), config, func(http.ResponseWriter, *http.Request) {})
	for i, want := range []int{200, 200, 429} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		req.Header.Set("X-Api-Key", strings.Repeat("k", 500_000))
		answer, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		answer.Body.Close()
		require.Equal(t, want, answer.StatusCode, i)
	}
}

func TestConcurrentRequestsGetExactlyTheLimit(t *testing.T) {
	rule := perMinute
	rule.Limit = 100
	clients := []string{"192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1", "bad"}
	l := limit(t, httplimit.Config{Rules: rules(rule), Observe: func(*http.Request, *httplimit.Outcome) {}})
	var reached atomic.Int64
	limiter, err := httplimit.New(ratelimit.NewMemory(ratelimit.WithClock(l.clock.Now)), httplimit.Config{
		Rules: rules(rule),
		Observe: func(r *http.Request, o *httplimit.Outcome) {
			if (o.Err != nil) != (r.RemoteAddr == "bad") || o.Err == nil && o.Decision.Results[0].Rule.ID != o.Key {
				panic("another request's outcome")
			}
		},
	})
	require.NoError(t, err)
	handler := limiter.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, request(clients[i%len(clients)]))
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(300), reached.Load())
}
