//go:build journeys

package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// object is a JSON object on its way to a process.
type object = map[string]any

// A client calls one process with one token.
type client struct {
	t     *testing.T
	url   string
	token string
	http  *http.Client
}

// client gives a client with the admin token of the process.
func (p *process) client() *client {
	p.t.Helper()
	token := p.settings["VIVA_ACCESS_BOOTSTRAP_TOKEN"]
	if token == "" {
		header, err := os.ReadFile(filepath.Join(p.settings["VIVA_DATA_DIR"], "admin.header"))
		require.NoError(p.t, err)
		token = strings.TrimSpace(strings.TrimPrefix(string(header), "Authorization: Bearer "))
	}
	return newClient(p.t, p.url, token)
}

func newClient(t *testing.T, url, token string) *client {
	transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{t: t, url: url, token: token, http: &http.Client{Transport: transport, Timeout: patience, CheckRedirect: stay}}
}

// as gives a client of the same process with another token.
func (c *client) as(token string) *client {
	other := *c
	other.token = token
	return &other
}

// in gives the client to a part of the test.
func (c *client) in(t *testing.T) *client {
	other := *c
	other.t = t
	return &other
}

// An answer is an HTTP answer that was read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes a call, from any goroutine. The body is JSON text as it is, or what is written as JSON; headers are names
// and values in turn.
func (c *client) send(method, path string, body any, headers ...string) (answer, error) {
	var text []byte
	switch b := body.(type) {
	case nil:
	case string:
		text = []byte(b)
	default:
		var err error
		if text, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	request, err := http.NewRequest(method, c.url+path, bytes.NewReader(text))
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, read}, err
}

// call makes a call that must be answered with that status.
func (c *client) call(status int, method, path string, body any, headers ...string) answer {
	c.t.Helper()
	got, err := c.send(method, path, body, headers...)
	require.NoError(c.t, err)
	require.Equal(c.t, status, got.status, "%s %s: %s", method, path, got.body)
	return got
}

// answers tells whether a call is answered with that status, from any goroutine.
func (c *client) answers(status int, method, path string) error {
	got, err := c.send(method, path, nil)
	if err == nil && got.status != status {
		err = fmt.Errorf("%s %s: %d %s", method, path, got.status, got.body)
	}
	return err
}

// into reads the body of an answer.
func into[T any](t *testing.T, a answer) (body T) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.body, &body), "%s", a.body)
	return body
}

// A problem is the body of an error.
type problem struct {
	Code   string
	Status int
	Errors []struct{ Field, Detail string }
}

// A key is what creating one answers.
type key struct {
	ID     string
	Owner  string
	Status string
	Secret string
}

// create makes a key.
func (c *client) create(body object) key {
	c.t.Helper()
	return into[key](c.t, c.call(http.StatusCreated, "POST", "/api/v1/keys", body))
}

// A decision is the answer to a check.
type decision struct {
	Allowed      bool
	Code         string
	Degraded     bool
	RetryAfterMS int64 `json:"retry_after_ms"`
	Limits       []struct {
		Name             string
		Limit, Remaining int64
	}
}

// remaining is what a rule has left, by the rule's name.
func (d decision) remaining() map[string]int64 {
	left := map[string]int64{}
	for _, limit := range d.Limits {
		left[limit.Name] = limit.Remaining
	}
	return left
}

// ask makes a check, from any goroutine.
func (c *client) ask(check object) (decision, answer, error) {
	got, err := c.send("POST", "/api/v1/validate", check)
	var d decision
	if err == nil && got.status == http.StatusOK {
		err = json.Unmarshal(got.body, &d)
	}
	return d, got, err
}

// says tells whether a check that spends nothing gets that code, from any goroutine.
func (c *client) says(code, secret string) error {
	d, got, err := c.ask(object{"api_key": secret, "cost": 0})
	if err == nil && d.Code != code {
		err = fmt.Errorf("the code is not %s: %d %s", code, got.status, got.body)
	}
	return err
}

// check makes a check of a key, which must be decided.
func (c *client) check(secret string, cost int64) decision {
	c.t.Helper()
	d, got, err := c.ask(object{"api_key": secret, "cost": cost})
	require.NoError(c.t, err)
	require.Equal(c.t, http.StatusOK, got.status, "%s", got.body)
	return d
}

// parallel runs work in so many goroutines, and waits for all.
func parallel(workers int, work func(worker int)) {
	var working sync.WaitGroup
	for worker := range workers {
		working.Go(func() { work(worker) })
	}
	working.Wait()
}
