package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// Bounds on what is read of an answer.
const (
	maxAnswer  = 64 << 20
	maxProblem = 1 << 20
)

const (
	mediaJSON       = "application/json"
	mediaMergePatch = "application/merge-patch+json"
)

// call is one operation of the API.
type call struct {
	name   string // for errors, such as "create key"
	method string
	path   []string // below /api/v1, a part each
	query  url.Values
	body   any  // nil for none
	etag   ETag // makes the body a merge patch

	// A call is repeated where that changes nothing, or where it carries an
	// Idempotency-Key.
	repeatable     bool
	idempotencyKey string
	prefer         string
}

// answer is what the service said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// get is a call that reads.
func get(name string, path ...string) call {
	return call{name: name, method: http.MethodGet, path: path, repeatable: true}
}

// post is a call that, repeated, changes nothing more.
func post(name string, body any, path ...string) call {
	return call{name: name, method: http.MethodPost, path: path, body: body, repeatable: true}
}

// create is a call that makes something, once.
func create(name string, body any, opts []CallOption, path ...string) call {
	op := call{name: name, method: http.MethodPost, path: path, body: body}
	for _, opt := range opts {
		opt(&op)
	}
	if op.idempotencyKey == "" {
		op.idempotencyKey = rand.Text()
	}
	return op
}

func patch(name string, body any, version ETag, path ...string) call {
	return call{name: name, method: http.MethodPatch, path: path, body: body, etag: version}
}

func erase(name string, path ...string) call {
	return call{name: name, method: http.MethodDelete, path: path, repeatable: true}
}

// do makes the call and decodes the answer into out, unless that is nil.
func (c *Client) do(ctx context.Context, op call, out any) (http.Header, error) {
	header, err := c.try(ctx, &op, out)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op.name, err)
	}
	return header, nil
}

func (c *Client) try(ctx context.Context, op *call, out any) (http.Header, error) {
	target, err := c.url(op)
	if err != nil {
		return nil, err
	}
	var body []byte
	if op.body != nil {
		if body, err = json.Marshal(op.body); err != nil {
			return nil, err
		}
	}
	a, err := c.repeat(ctx, op, target, body)
	if err != nil || out == nil {
		return a.header, err
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return nil, fmt.Errorf("the answer of %s is not what the API says: %w", c.base, err)
	}
	return a.header, nil
}

func (c *Client) url(op *call) (string, error) {
	var b strings.Builder
	b.WriteString(c.base + apiPath)
	for _, part := range op.path {
		if part == "" || part == "." || part == ".." {
			// It would name something else, or everything.
			return "", apierror.New(apierror.CodeNotFound, "An id or name is empty, or dots alone")
		}
		b.WriteString("/" + url.PathEscape(part))
	}
	if len(op.query) > 0 {
		b.WriteString("?" + op.query.Encode())
	}
	return b.String(), nil
}

// attempt sends the call once. An answer that is an error is an *apierror.Error.
func (c *Client) attempt(ctx context.Context, op *call, target string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, op.method, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	c.setHeaders(req.Header, op)
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.status >= 200 && a.status < 300 {
		a.body, err = readAtMost(resp.Body, maxAnswer)
		return a, err
	}
	// What is cut off is no problem that could be read, and its status is enough.
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxProblem)); err != nil {
		return a, err
	}
	return a, a.problem()
}

func (a *answer) problem() *apierror.Error {
	e := apierror.FromResponse(a.status, a.header, a.body)
	if location := a.header.Get("Location"); location != "" && a.status < 400 {
		e.Detail += ", to " + location + ": use that address if you trust it"
	}
	return e
}

func (c *Client) setHeaders(h http.Header, op *call) {
	h.Set("Accept", mediaJSON)
	h.Set("User-Agent", c.agent)
	if c.authorization != nil {
		h.Set("Authorization", c.authorization())
	}
	if op.body != nil {
		h.Set("Content-Type", mediaJSON)
	}
	if op.etag != "" {
		h.Set("Content-Type", mediaMergePatch)
		h.Set("If-Match", string(op.etag))
	}
	if op.prefer != "" {
		h.Set("Prefer", op.prefer)
	}
	if op.idempotencyKey != "" {
		h.Set("Idempotency-Key", op.idempotencyKey)
	}
}

var errTooLarge = errors.New("the answer is too large")

func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, errTooLarge
	}
	return data, err
}
