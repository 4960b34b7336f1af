package notify

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
)

func TestWhatAnswersMean(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		header [2]string
		want   models.Sent
	}{
		"done":                 {200, [2]string{}, models.Sent{Delivered: true}},
		"taken":                {202, [2]string{}, models.Sent{Delivered: true}},
		"nothing to say":       {204, [2]string{}, models.Sent{Delivered: true}},
		"moved":                {302, [2]string{"Location", "/hunter2"}, models.Sent{Error: "answered 302, a redirect to %s: redirects are not followed, set the final URL"}},
		"moved elsewhere":      {308, [2]string{"Location", "https://b.example/hunter2"}, models.Sent{Error: "answered 308, a redirect to https://b.example: redirects are not followed, set the final URL"}},
		"moved nowhere":        {301, [2]string{}, models.Sent{Error: "answered 301, a redirect: redirects are not followed, set the final URL"}},
		"gone":                 {410, [2]string{}, models.Sent{Gone: true, Error: "answered 410: the receiver wants no more messages"}},
		"bad request":          {400, [2]string{}, models.Sent{Error: "answered 400 Bad Request"}},
		"not found":            {404, [2]string{"Retry-After", "60"}, models.Sent{Error: "answered 404 Not Found"}},
		"too many":             {429, [2]string{}, models.Sent{Error: "answered 429 Too Many Requests"}},
		"too many, in seconds": {429, [2]string{"Retry-After", "120"}, models.Sent{Error: "answered 429 Too Many Requests", RetryAfter: 2 * time.Minute}},
		"too many, at a time":  {429, [2]string{"Retry-After", "Wed, 04 Mar 2026 12:30:00 GMT"}, models.Sent{Error: "answered 429 Too Many Requests", RetryAfter: 30 * time.Minute}},
		"away for long":        {503, [2]string{"Retry-After", "99999999999999999999"}, models.Sent{Error: "answered 503 Service Unavailable"}},
		"away for a year":      {503, [2]string{"Retry-After", "31536000"}, models.Sent{Error: "answered 503 Service Unavailable", RetryAfter: 24 * time.Hour}},
		"away until a century": {503, [2]string{"Retry-After", "Thu, 04 Mar 2126 12:30:00 GMT"}, models.Sent{Error: "answered 503 Service Unavailable", RetryAfter: 24 * time.Hour}},
		"away until the past":  {503, [2]string{"Retry-After", "Wed, 04 Mar 2020 12:30:00 GMT"}, models.Sent{Error: "answered 503 Service Unavailable"}},
		"away, nonsense":       {503, [2]string{"Retry-After", "-5"}, models.Sent{Error: "answered 503 Service Unavailable"}},
		"broken":               {500, [2]string{}, models.Sent{Error: "answered 500 Internal Server Error"}},
		"of no name":           {599, [2]string{}, models.Sent{Error: "answered 599"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
				if row.header[0] != "" {
					w.Header().Set(row.header[0], row.header[1])
				}
				w.WriteHeader(row.status)
			})
			s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted()})
			for _, d := range []*models.Destination{webhook(r.URL), {Type: "slack", URL: r.URL}} {
				sent := s.Send(t.Context(), d, "", message(1))
				require.NotEmpty(t, sent.Request)
				sent.Request = ""
				want := row.want
				if strings.Contains(want.Error, "%s") {
					want.Error = fmt.Sprintf(want.Error, r.URL)
				}
				want.Status = row.status
				require.Equal(t, want, sent)
			}
			requests, _ := r.requests()
			require.Len(t, requests, 2, "no redirect is followed, nothing is tried again here")
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	trap := newReceiver(t, ok)
	r := newReceiver(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, trap.URL+"/metadata", http.StatusTemporaryRedirect)
	})
	s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted()})
	require.False(t, s.Send(t.Context(), webhook(r.URL), "", message(1)).Delivered)
	requests, _ := trap.requests()
	require.Empty(t, requests)
}

func TestSlowReceivers(t *testing.T) {
	// A server notices that its client is gone once it has read the request.
	until := func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
	}
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		want   models.Sent
	}{
		"says nothing": {until, models.Sent{Error: "no answer within 300ms"}},
		"never ends": {func(w http.ResponseWriter, req *http.Request) {
			_, _ = w.Write([]byte("the beginning"))
			_ = http.NewResponseController(w).Flush()
			until(w, req)
		}, models.Sent{Delivered: true, Status: 200, Response: "the beginning"}},
		"fails and never ends": {func(w http.ResponseWriter, req *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_ = http.NewResponseController(w).Flush()
			until(w, req)
		}, models.Sent{Status: 500, Error: "answered 500 Internal Server Error"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewServer(row.answer)
			defer r.Close()
			s := newSender(t, Options{AllowNetworks: loopback, Timeout: 300 * time.Millisecond})
			sent := s.Send(t.Context(), webhook(r.URL), "", message(1))
			sent.Request = ""
			require.Equal(t, row.want, sent)
		})
	}
}

func TestAttemptEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		cancel()
		<-req.Context().Done()
	}))
	defer r.Close()
	sent := newSender(t, Options{AllowNetworks: loopback}).Send(ctx, webhook(r.URL), "", message(1))
	require.Equal(t, "the attempt was cut short", sent.Error)
	require.False(t, sent.Hopeless)
}

// Of a body without an end no more is read than is kept.
func TestHugeAnswersAreCut(t *testing.T) {
	wrote := make(chan int, 1)
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		total := 0
		for {
			n, err := w.Write([]byte(strings.Repeat("日\x00\xff", 1000)))
			if total += n; err != nil {
				wrote <- total
				return
			}
		}
	}))
	defer r.Close()
	sent := newSender(t, Options{AllowNetworks: loopback}).Send(t.Context(), webhook(r.URL), "", message(1))
	require.True(t, sent.Delivered)
	require.LessOrEqual(t, len(sent.Response), 4<<10)
	require.Greater(t, len(sent.Response), 1<<10)
	require.True(t, utf8.ValidString(sent.Response))
	require.NotContains(t, sent.Response, "\x00")
	require.Less(t, <-wrote, 64<<20, "the connection was closed")
}

// Answers that are no HTTP.
func TestBrokenReceivers(t *testing.T) {
	for name, answer := range map[string]string{
		"hangs up": "", "speaks another protocol": "220 mail.example ESMTP\r\n",
		"endless headers": "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("x", 1000)+"\r\n", 200),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = c.Read(make([]byte, 16<<10))
					_, _ = c.Write([]byte(answer))
					c.Close()
				}
			}()
			sent := newSender(t, Options{AllowNetworks: loopback}).Send(t.Context(), webhook("http://"+l.Addr().String()+"/hunter2?hunter2"), "", message(1))
			require.False(t, sent.Delivered || sent.Hopeless)
			require.NotEmpty(t, sent.Error)
			require.NotContains(t, sent.Error, "hunter2")
			l.Close()
			<-done
		})
	}
}

func TestCertificateOfAStranger(t *testing.T) {
	r := newReceiver(t, ok)
	sent := newSender(t, Options{AllowNetworks: loopback}).Send(t.Context(), webhook(r.URL), "", message(1))
	require.Contains(t, sent.Error, "certificate")
	requests, _ := r.requests()
	require.Empty(t, requests)
}

// The environment's proxy would reach what the filter refuses.
func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	r := newReceiver(t, ok)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted()})
	require.True(t, s.Send(t.Context(), webhook(r.URL), "", message(1)).Delivered)
	require.Nil(t, s.client.Transport.(*http.Transport).Proxy)
}

func TestNoCookieIsKept(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	})
	s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted()})
	for range 2 {
		require.True(t, s.Send(t.Context(), webhook(r.URL), "", message(1)).Delivered)
	}
	requests, _ := r.requests()
	require.Empty(t, requests[1].Header.Get("Cookie"))
}

// One Sender serves all workers of a process.
func TestManyAtOnce(t *testing.T) {
	r := newReceiver(t, ok)
	s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted()})
	results := make(chan models.Sent)
	for i := range 40 {
		go func() {
			m := message(1)
			m.ID = "m" + strconv.Itoa(i)
			results <- s.Send(t.Context(), webhook(r.URL), "", m)
		}()
	}
	for range 40 {
		sent := <-results
		require.True(t, sent.Delivered, sent.Error)
	}
	requests, _ := r.requests()
	ids := map[string]bool{}
	for _, req := range requests {
		ids[req.Header.Get("webhook-id")] = true
	}
	require.Len(t, ids, 40)
}

// A connection that the receiver closed meanwhile costs no attempt.
func TestClosedConnectionIsReplaced(t *testing.T) {
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, sent := req.Header["Idempotency-Key"]; sent {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer r.Close()
	s := newSender(t, Options{AllowNetworks: loopback})
	for range 20 {
		sent := s.Send(t.Context(), webhook(r.URL), "", message(1))
		require.True(t, sent.Delivered, sent.Error)
		require.NotContains(t, sent.Request, "Idempotency")
		r.CloseClientConnections()
	}
}
