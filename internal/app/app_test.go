package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/testenv"
)

// process is one process, run inside the test.
type process struct {
	*App
	t      *testing.T
	token  string
	logs   *logs
	client *http.Client
	// headers are sent with every call.
	headers http.Header
}

// logs is a writer that may be read while it is written to.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// bootstrapToken is an access token that processes are told to adopt.
const bootstrapToken = "vivat_000000000000000000000000000000004XN7bK"

// engine is a way to run the service: the environment of its processes.
type engine struct {
	name    string
	role    config.Role
	environ func(t *testing.T) []string
}

var allEngines = []engine{
	{"embedded", config.RoleServe, func(*testing.T) []string { return nil }},
	{"postgres", config.RoleServe, func(t *testing.T) []string { return []string{"VIVA_DATABASE_URL=" + testenv.Postgres(t)} }},
	{"postgres and redis", config.RoleAPI, shared},
}

// shared gives the environment that several processes share.
func shared(t *testing.T) []string {
	return []string{
		"VIVA_DATABASE_URL=" + testenv.Postgres(t), "VIVA_REDIS_URL=" + testenv.Redis(t),
		"VIVA_REDIS_NAMESPACE=" + namespace(t),
	}
}

// namespace keeps the channels of tests apart, which databases of one Redis
// share.
func namespace(t *testing.T) string {
	return "t" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(filepath.Base(t.TempDir())+fmt.Sprint(os.Getpid())))
}

// run starts a process and stops it when the test ends.
func run(t *testing.T, role config.Role, environ ...string) *process {
	t.Helper()
	a, logs, err := open(t, role, environ...)
	require.NoError(t, err)
	require.NoError(t, a.Start(t.Context()))
	p := &process{App: a, t: t, token: bootstrapToken, logs: logs, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		assert.NoError(t, p.Stop(context.WithoutCancel(t.Context())))
	})
	return p
}

func open(t *testing.T, role config.Role, environ ...string) (*App, *logs, error) {
	t.Helper()
	environ = append([]string{
		"VIVA_SERVER_ADDR=127.0.0.1:0", "VIVA_WORKER_ADDR=127.0.0.1:0", "VIVA_DATA_DIR=" + t.TempDir(),
		"VIVA_BOOTSTRAP_TOKEN=" + bootstrapToken, "VIVA_LOG_LEVEL=debug",
	}, environ...)
	cfg, err := config.Load(config.Options{Role: role, Environ: environ})
	require.NoError(t, err)
	logs := new(logs)
	a, err := New(t.Context(), cfg, Options{Role: role, Log: logs, Version: "test"})
	return a, logs, err
}

// call makes a request and decodes its answer.
func (p *process) call(method, path string, body any) (status int, answer map[string]any) {
	p.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(p.t, err)
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.URL()+path, bytes.NewReader(text))
	require.NoError(p.t, err)
	if body == nil {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	maps.Copy(req.Header, p.headers)
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("If-Match", "*")
	resp, err := p.client.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	if len(data) > 0 {
		require.NoError(p.t, json.Unmarshal(data, &answer), "%s", data)
	}
	return resp.StatusCode, answer
}

// do is call for what must succeed.
func (p *process) do(method, path string, body any) map[string]any {
	p.t.Helper()
	status, answer := p.call(method, path, body)
	require.Less(p.t, status, 300, "%s %s: %v", method, path, answer)
	return answer
}

func (p *process) check(secret string) map[string]any {
	p.t.Helper()
	return p.do("POST", "/api/v1/validate", map[string]any{"api_key": secret})
}

type object = map[string]any
