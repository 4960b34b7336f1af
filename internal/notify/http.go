package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// maxRetryAfter bounds how long a receiver can put a message off.
const maxRetryAfter = 24 * time.Hour

// newClient makes the client of webhooks: it connects to public addresses only,
// whatever name they hide behind, goes through no proxy, follows no redirect
// and keeps no cookie.
func newClient(o Options, allowed networks) *http.Client {
	dialer := &net.Dialer{Timeout: o.Timeout, KeepAlive: 30 * time.Second, Resolver: o.Resolver, ControlContext: allowed.filter}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           100,
			MaxIdleConnsPerHost:    2,
			MaxConnsPerHost:        16,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // what is read of an answer is bounded as it comes
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post is a request to make.
type post struct {
	to            *models.Destination
	header        http.Header
	body          []byte
	secrets       []string // hidden wherever they come back
	secretHeaders []string // not shown, in canonical form
}

func (s *Sender) post(ctx context.Context, p post) models.Sent {
	target, err := s.parseURL(p.to.URL)
	if err != nil {
		// It was right when it was set: the settings have changed, and may again.
		return models.Sent{Error: "url: " + err.Error()}
	}
	p.header.Set("Content-Type", "application/json")
	p.header.Set("User-Agent", s.agent)
	p.secrets = append(p.secrets, target.RawQuery)
	for _, values := range target.Query() {
		p.secrets = append(p.secrets, values...)
	}
	if p.to.Type == models.DestinationSlack {
		p.secrets = append(p.secrets, target.EscapedPath())
	}
	hide := hiding(models.Concealed, p.secrets...)
	sent := models.Sent{Request: p.shown()}

	ctx, cancel := context.WithTimeoutCause(ctx, s.options.Timeout, fmt.Errorf("no answer within %s", s.options.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to.URL, bytes.NewReader(p.body))
	if err != nil {
		return hopeless("url: cannot be called") // err shows it
	}
	req.Header = p.header
	if _, given := p.header["Idempotency-Key"]; !given {
		// Sent over a connection that the receiver just closed, it may go over another
		// one: a receiver knows a message by its id. The empty value says so to the
		// transport, and is not sent.
		req.Header["Idempotency-Key"] = nil
	}
	resp, err := s.client.Do(req)
	if err != nil {
		sent.Error = hide.failure(reason(ctx, err))
		return sent
	}
	defer resp.Body.Close()
	// The status says it all: an answer that is never finished is an answer.
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRead))
	sent.Status, sent.Response = resp.StatusCode, hide.response(string(text))
	s.judge(&sent, resp)
	return sent
}

// judge says what an answer means.
func (s *Sender) judge(sent *models.Sent, resp *http.Response) {
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		sent.Delivered = true
	case code >= 300 && code < 400:
		sent.Error = fmt.Sprintf("answered %d, a redirect%s: redirects are not followed, set the final URL", code, redirectHost(resp))
	case code == http.StatusGone:
		sent.Gone, sent.Error = true, "answered 410: the receiver wants no more messages"
	default:
		sent.Error = strings.TrimSpace(fmt.Sprintf("answered %d %s", code, http.StatusText(code)))
		if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
			sent.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), s.options.Now())
		}
	}
}

// redirectHost names the host that was pointed to; the rest of it may be a secret.
func redirectHost(resp *http.Response) string {
	if to, err := resp.Location(); err == nil && to.Host != "" {
		return " to " + to.Scheme + "://" + cut(oneLine(to.Host), 200)
	}
	return ""
}

// retryAfter reads the header's two forms. What is neither, or past, is 0.
func retryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, maxRetryAfter))
}

// reason says in words why there was no answer, without the URL, which the
// error of the client shows.
func reason(ctx context.Context, err error) string {
	if refused, ok := errors.AsType[refusedAddress](err); ok {
		return refused.Error()
	}
	if ctx.Err() != nil {
		return ending(ctx)
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	return err.Error()
}

// ending says why an attempt had to stop.
func ending(ctx context.Context) string {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause.Error()
	}
	return "the attempt was cut short"
}

// shown is the request as an operator may see it.
func (p post) shown() string {
	var b strings.Builder
	b.WriteString("POST " + p.to.ShownURL() + "\n")
	names := make([]string, 0, len(p.header))
	for name := range p.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := p.header.Get(name)
		if slices.Contains(p.secretHeaders, name) {
			value = models.Concealed
		}
		b.WriteString(name + ": " + value + "\n")
	}
	b.WriteByte('\n')
	b.Write(p.body)
	return cut(clean(b.String()), maxRequest)
}
