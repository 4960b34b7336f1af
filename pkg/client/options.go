package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// Option configures a Client.
type Option func(*Client) error

// WithToken presents an access token. No error repeats it.
func WithToken(token string) Option {
	return func(c *Client) error {
		token, err := parseToken(token)
		if err != nil {
			return err
		}
		c.authorization = func() string { return "Bearer " + token }
		return nil
	}
}

// WithHeaderFile presents the access token of a file: an `Authorization: Bearer …`
// line as curl -H @file reads it, or the token alone. The file is read now, and once.
func WithHeaderFile(path string) Option {
	return func(c *Client) error {
		text, err := readToken(path)
		if err != nil {
			return fmt.Errorf("token file: %w", err)
		}
		if err := WithToken(headerToken(text))(c); err != nil {
			return fmt.Errorf("token file %s: %w", path, err)
		}
		return nil
	}
}

// WithHTTPClient calls through a copy of h, for its transport and cookies.
// Redirects are never followed.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) error {
		if h == nil {
			return errors.New("the HTTP client must not be nil")
		}
		own := *h
		c.http = &own
		return nil
	}
}

// WithUserAgent names the program that calls.
func WithUserAgent(agent string) Option {
	return func(c *Client) error {
		c.agent = agent
		return nil
	}
}

// WithTimeout bounds each attempt of a call, its answer included;
// [DefaultTimeout] unless said otherwise. A context bounds the whole call.
func WithTimeout(d time.Duration) Option {
	return func(c *Client) error {
		if d <= 0 {
			return errors.New("the timeout must be positive")
		}
		c.timeout = d
		return nil
	}
}

// WithRetries sets how often a call that is safe to repeat is repeated, from 0
// to 10; [DefaultRetries] unless said otherwise.
func WithRetries(n int) Option {
	return func(c *Client) error {
		if n < 0 || n > 10 {
			return errors.New("the retries must be from 0 to 10")
		}
		c.retries = n
		return nil
	}
}

// CallOption configures one create call.
type CallOption func(*call)

// IdempotencyKey makes the call safe to repeat by other processes, and later:
// for 24 hours the same key with the same call gets the first answer again. It
// is 1 to 255 printable ASCII characters; without it, every call has its own.
func IdempotencyKey(key string) CallOption {
	return func(c *call) { c.idempotencyKey = key }
}

// WithoutImported leaves keys that were imported out of the answer of
// [Keys.CreateMany]: they hold nothing that was not known.
func WithoutImported() CallOption {
	return func(c *call) { c.prefer = "return=minimal" }
}

// maxTokenFile is far more than a header line needs.
const maxTokenFile = 8 << 10

func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxTokenFile))
	return string(bytes.TrimSpace(data)), err
}

// headerToken takes the token out of a header line; a text that is none is the
// token itself.
func headerToken(text string) string {
	name, value, ok := strings.Cut(text, ":")
	if !ok || !strings.EqualFold(name, "Authorization") {
		return text
	}
	scheme, token, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func parseToken(token string) (string, error) {
	visible := func(r rune) bool { return r > ' ' && r <= '~' }
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return !visible(r) }) {
		return "", errors.New("a token is a string of visible ASCII characters, alone or in a line `Authorization: Bearer TOKEN`")
	}
	return token, nil
}
