package httplimit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

// failing is a store that decides nothing.
type failing struct {
	ratelimit.Store
	err error
}

func (f failing) Take(context.Context, *ratelimit.Request, *ratelimit.Decision) error { return f.err }

var errAway = fmt.Errorf("dial tcp 10.0.0.7:6379: %w", ratelimit.ErrUnavailable)

func TestAFailingStore(t *testing.T) {
	invalid := &ratelimit.InvalidError{Rule: -1, Field: "Cost", Reason: "must be otherwise"}
	for _, test := range []struct {
		name     string
		err      error
		failOpen bool
		status   int
		code     string
	}{
		{"refuses", errAway, false, 503, "store_unavailable"},
		{"lets through if it may", errAway, true, 200, ""},
		{"full", ratelimit.ErrFull, false, 503, "store_unavailable"},
		{"full, open", ratelimit.ErrFull, true, 200, ""},
		{"its own deadline", context.DeadlineExceeded, true, 200, ""},
		{"invalid", invalid, false, 500, "internal"},
		{"invalid, open", invalid, true, 500, "internal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seen httplimit.Outcome
			l := limitBy(t, failing{err: test.err}, nil, httplimit.Config{
				Rules: rules(perMinute), FailOpen: test.failOpen,
				Observe: func(_ *http.Request, o *httplimit.Outcome) { seen = *o },
			})
			w := l.get()
			require.Equal(t, test.status == http.StatusOK, l.reached == 1)
			require.ErrorIs(t, seen.Err, test.err)
			require.Nil(t, seen.Decision)
			require.Equal(t, test.status == http.StatusOK, seen.Admitted)
			require.Equal(t, test.code, seen.Code)
			require.Equal(t, "192.0.2.1", seen.Key)
			require.Empty(t, w.Header().Get("RateLimit"))
			if test.code != "" {
				requireProblem(t, w, test.status, test.code)
				require.NotContains(t, w.Body.String(), "10.0.0.7", "the cause is not the client's to know")
			}
		})
	}
}

func TestWhoHangsUpIsNotLetThrough(t *testing.T) {
	for name, end := range map[string]error{"canceled": context.Canceled, "too late": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(end)
			var seen error
			observe := func(_ *http.Request, o *httplimit.Outcome) { seen = o.Err }
			config := httplimit.Config{Rules: rules(perMinute), FailOpen: true, Observe: observe}

			l := limit(t, config)
			requireProblem(t, l.send(request("192.0.2.1:1").WithContext(ctx)), http.StatusServiceUnavailable, "timeout")
			require.ErrorIs(t, seen, context.Canceled)
			require.Equal(t, "1", l.get().Header().Get("X-RateLimit-Remaining"), "nothing was spent")

			l = limitBy(t, failing{err: fmt.Errorf("%w: %w", ratelimit.ErrUnavailable, end)}, nil, config)
			requireProblem(t, l.send(request("192.0.2.1:1").WithContext(ctx)), http.StatusServiceUnavailable, "timeout")
			require.ErrorIs(t, seen, ratelimit.ErrUnavailable)
			require.Zero(t, l.reached)
		})
	}
}

func TestWhoCannotBeToldIsRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		key    string
		err    error
		status int
		code   string
	}{
		{"empty", "", nil, 400, "unidentified"},
		{"unidentified", "ignored", fmt.Errorf("no session: %w", httplimit.ErrUnidentified), 400, "unidentified"},
		{"failed", "ignored", errors.New("sessions are away"), 500, "internal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seen httplimit.Outcome
			l := limit(t, httplimit.Config{
				Rules: rules(perMinute), FailOpen: true,
				Key:     func(*http.Request) (string, error) { return test.key, test.err },
				Observe: func(_ *http.Request, o *httplimit.Outcome) { seen = *o },
			})
			w := l.get()
			requireProblem(t, w, test.status, test.code)
			require.Empty(t, w.Header().Get("RateLimit"))
			require.Error(t, seen.Err)
			require.Empty(t, seen.Key)
			require.False(t, seen.Admitted)
			require.Zero(t, l.reached)
		})
	}
}

func TestFailuresAreLoggedUnlessObserved(t *testing.T) {
	var log bytes.Buffer
	previous := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(previous) })

	l := limit(t, httplimit.Config{Rules: rules(perMinute)})
	for range 3 {
		l.get()
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	l.send(request("192.0.2.1:1").WithContext(done))
	byKey, err := httplimit.ByHeader("X-Api-Key")
	require.NoError(t, err)
	limit(t, httplimit.Config{Rules: rules(perMinute), Key: byKey}).get()
	require.Empty(t, log.String(), "clients cannot fill the log")

	limitBy(t, failing{err: errAway}, nil, httplimit.Config{Rules: rules(perMinute), FailOpen: true}).get()
	require.Contains(t, log.String(), `level=ERROR msg="rate limit not decided"`)
	require.Contains(t, log.String(), "10.0.0.7:6379")
	require.Contains(t, log.String(), "admitted=true")
}
