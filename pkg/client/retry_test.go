package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/client"
)

// script plays a service without a network, so that time can be of the
// test's making: each attempt gets the next reply, the last one for ever.
type script struct {
	replies []reply
	at      []time.Time
	bodies  []string
	keys    []string // Idempotency-Key
}

type reply func(*http.Request) (*http.Response, error)

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(data)
	}
	next := s.replies[min(len(s.at), len(s.replies)-1)]
	s.at, s.bodies, s.keys = append(s.at, time.Now()), append(s.bodies, body), append(s.keys, r.Header.Get("Idempotency-Key"))
	return next(r)
}

func (s *script) client(t *testing.T, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New("http://viva.test", append([]client.Option{client.WithHTTPClient(&http.Client{Transport: s})}, opts...)...)
	require.NoError(t, err)
	return c
}

func status(code int, body string, header ...string) reply {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, err := w.WriteString(body)
		return w.Result(), err
	}
}

var errReset = errors.New("connection reset by peer")

func reset(*http.Request) (*http.Response, error) { return nil, errReset }

// silence answers nothing until the attempt is given up.
func silence(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// cut answers and breaks off in the middle of the body.
func cut(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(io.MultiReader(strings.NewReader(`{"id":`), broken{}))}, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestCallsThatAreSafeToRepeatAre(t *testing.T) {
	failures := map[string]reply{
		"busy":                  status(429, ""),
		"bad gateway":           status(502, "<html>"),
		"unavailable":           status(503, ""),
		"gateway timeout":       status(504, ""),
		"no connection":         reset,
		"no answer":             silence,
		"half an answer":        cut,
		"half an error":         func(*http.Request) (*http.Response, error) { r, err := cut(nil); r.StatusCode = 503; return r, err },
		"our first still there": status(409, `{"code":"idempotency_conflict"}`),
	}
	calls := map[string]func(context.Context, *client.Client) error{
		"read": func(ctx context.Context, c *client.Client) error { _, err := c.Keys.Get(ctx, "k"); return err },
		"create": func(ctx context.Context, c *client.Client) error {
			_, err := c.Keys.Create(ctx, client.NewKey{})
			return err
		},
		"rotate":  func(ctx context.Context, c *client.Client) error { _, err := c.Keys.Rotate(ctx, "k", 0); return err },
		"revoke":  func(ctx context.Context, c *client.Client) error { _, err := c.Keys.Revoke(ctx, "k"); return err },
		"look up": func(ctx context.Context, c *client.Client) error { _, err := c.Keys.Lookup(ctx, "s"); return err },
		"erase":   func(ctx context.Context, c *client.Client) error { return c.Keys.Erase(ctx, "k") },
		"named": func(ctx context.Context, c *client.Client) error {
			_, err := c.Validate(ctx, client.Check{CheckID: "1"})
			return err
		},
		"all named": func(ctx context.Context, c *client.Client) error { _, err := c.ValidateBatch(ctx, nil); return err },
	}
	for failure, fail := range failures {
		for name, call := range calls {
			if failure == "our first still there" && name != "create" && name != "rotate" {
				continue
			}
			t.Run(name+" when "+failure, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &script{replies: []reply{fail, fail, status(200, `{}`)}}
					require.NoError(t, call(t.Context(), s.client(t)))
					require.Len(t, s.at, 3)
					require.Equal(t, s.bodies[0], s.bodies[2])
					require.Equal(t, s.keys[0], s.keys[2], "another Idempotency-Key would make another key")
					require.Equal(t, name == "create" || name == "rotate", s.keys[0] != "")
				})
			})
		}
	}
}

func TestCallsThatMightDoItTwiceAreSentOnce(t *testing.T) {
	calls := map[string]func(context.Context, *client.Client) error{
		"patch": func(ctx context.Context, c *client.Client) error {
			_, err := c.Keys.Update(ctx, "k", client.AnyVersion, client.KeyPatch{})
			return err
		},
		"check": func(ctx context.Context, c *client.Client) error {
			_, err := c.Validate(ctx, client.Check{})
			return err
		},
		"batch with one unnamed check": func(ctx context.Context, c *client.Client) error {
			_, err := c.ValidateBatch(ctx, []client.Check{{CheckID: "1"}, {}})
			return err
		},
		"readiness": func(ctx context.Context, c *client.Client) error { _, err := c.Ready(ctx); return err },
	}
	for name, call := range calls {
		for failure, fail := range map[string]reply{"unavailable": status(503, ""), "no connection": reset} {
			t.Run(name+" when "+failure, func(t *testing.T) {
				s := &script{replies: []reply{fail}}
				require.Error(t, call(t.Context(), s.client(t)))
				require.Len(t, s.at, 1)
			})
		}
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	for _, code := range []int{301, 400, 401, 403, 404, 409, 412, 413, 422, 428, 500} {
		s := &script{replies: []reply{status(code, "")}}
		_, err := s.client(t).Keys.Create(t.Context(), client.NewKey{})
		e, ok := apierror.As(err)
		require.True(t, ok)
		require.Equal(t, code, e.Status())
		require.Len(t, s.at, 1, code)
	}
}

func TestRepeatsAreBounded(t *testing.T) {
	for _, retries := range []int{0, 1, 10} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{replies: []reply{status(503, `{"code":"store_unavailable"}`)}}
			_, err := s.client(t, client.WithRetries(retries)).Whoami(t.Context())
			require.ErrorIs(t, err, apierror.CodeStoreUnavailable)
			require.Len(t, s.at, retries+1)
		})
	}
}

func TestWaitsDoubleFromFiftyToAHundredMillisecondsUpToFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{reset}}
		_, err := s.client(t, client.WithRetries(10)).Whoami(t.Context())
		require.ErrorIs(t, err, errReset)
		full := 100 * time.Millisecond
		for i := range 10 {
			wait := s.at[i+1].Sub(s.at[i])
			require.GreaterOrEqual(t, wait, full/2, i)
			require.LessOrEqual(t, wait, full, i)
			full = min(2*full, 5*time.Second)
		}
	})
}

func TestWaitIsNeverShorterThanTheServiceAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{status(429, "", "Retry-After", "30"), status(200, `{}`)}}
		_, err := s.client(t).Whoami(t.Context())
		require.NoError(t, err)
		wait := s.at[1].Sub(s.at[0])
		require.GreaterOrEqual(t, wait, 30*time.Second)
		require.LessOrEqual(t, wait, 30*time.Second+100*time.Millisecond)
	})
}

func TestLongWaitIsLeftToTheCaller(t *testing.T) {
	s := &script{replies: []reply{status(429, "", "Retry-After", "31")}}
	_, err := s.client(t).Whoami(t.Context())
	e, ok := apierror.As(err)
	require.True(t, ok)
	require.Equal(t, 31*time.Second, e.RetryAfter)
	require.Len(t, s.at, 1)
}

func TestWaitThatWouldOutlastTheContextIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s := &script{replies: []reply{status(503, "", "Retry-After", "10")}}
		start := time.Now()
		_, err := s.client(t).Whoami(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, apierror.CodeUnavailable, "why it was waiting belongs in the error")
		require.Equal(t, start, time.Now())
	})
}

func TestCancellationEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the user left")
		time.AfterFunc(3*time.Second, func() { cancel(why) })
		s := &script{replies: []reply{status(503, "", "Retry-After", "10")}}
		start := time.Now()
		_, err := s.client(t).Whoami(ctx)
		require.ErrorIs(t, err, why)
		require.ErrorIs(t, err, apierror.CodeUnavailable)
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestCancellationEndsTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		s := &script{replies: []reply{silence}}
		_, err := s.client(t).Whoami(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, s.at, 1)
	})
}

func TestEachAttemptHasItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{silence}}
		start := time.Now()
		_, err := s.client(t, client.WithTimeout(2*time.Second), client.WithRetries(2)).Whoami(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, s.at, 3)
		require.InDelta(t, (3 * 2 * time.Second).Seconds(), time.Since(start).Seconds(), 0.31)
	})
}

func TestErasureWhoseAnswerWasLostIsDone(t *testing.T) {
	gone := status(404, `{"code":"not_found"}`)
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{reset, gone}}
		require.NoError(t, s.client(t).Keys.Erase(t.Context(), "k"))
	})
	s := &script{replies: []reply{gone}}
	require.ErrorIs(t, s.client(t).Keys.Erase(t.Context(), "k"), apierror.CodeNotFound)
}
