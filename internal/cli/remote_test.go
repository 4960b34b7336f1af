package cli_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/cli"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// service stands in for a running Viva: it answers by method and path, and keeps
// what it was asked.
type service struct {
	url     string
	token   string // what callers must present
	answers map[string]reply

	mu       sync.Mutex
	requests []request
}

type reply func(w http.ResponseWriter, r *http.Request)

type request struct {
	line string // method, path and query
	body string
	key  string // Idempotency-Key
	etag string // If-Match
}

// start runs the service, and points the command line at it.
func start(t *testing.T, answers map[string]reply) *service {
	t.Helper()
	s := &service{token: apikey.GenerateToken().Reveal(), answers: answers}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = server.URL
	t.Setenv("VIVA_SERVER", s.url)
	t.Setenv("VIVA_TOKEN_FILE", write(t, "Authorization: Bearer "+s.token+"\n"))
	return s
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request{
		r.Method + " " + r.URL.RequestURI(), string(body), r.Header.Get("Idempotency-Key"), r.Header.Get("If-Match"),
	})
	answer, ok := s.answers[r.Method+" "+r.URL.Path]
	switch {
	case r.URL.Path != "/health/ready" && r.Header.Get("Authorization") != "Bearer "+s.token:
		problem(apierror.New(apierror.CodeUnauthorized, "The access token is not valid"))(w, r)
	case !ok:
		problem(apierror.NotFound("thing"))(w, r)
	default:
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		answer(w, r)
	}
}

// lines are the requests, without their bodies.
func (s *service) lines() []string {
	lines := make([]string, len(s.requests))
	for i, r := range s.requests {
		lines[i] = r.line
	}
	return lines
}

func ok(body string) reply { return status(http.StatusOK, body) }

func status(code int, body string) reply {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"3-5f1c"`)
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func problem(e *apierror.Error) reply {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := e.Write(w, "r1"); err != nil {
			panic(err)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

type result struct {
	code           int
	stdout, stderr string
}

func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return runWith(t.Context(), strings.NewReader(stdin), args...)
}

func runWith(ctx context.Context, stdin io.Reader, args ...string) result {
	var stdout, stderr strings.Builder
	code := cli.Run(ctx, args, stdin, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

const whoami = `{"id":"t1","name":"admin","mask":"vivat_…wXyZ","scopes":["keys:read","keys:write"],"expires_at":null,"revoked_at":null,"created_at":"2026-03-01T12:00:00Z"}`

func TestTokenComesFromAFile(t *testing.T) {
	s := start(t, map[string]reply{"GET /api/v1/whoami": ok(whoami)})
	header := "Authorization: Bearer " + s.token + "\n"
	elsewhere := write(t, "Authorization: Bearer "+apikey.GenerateToken().Reveal())
	data := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(data, "admin.header"), []byte(header), 0o600))

	for name, test := range map[string]struct {
		variable string
		args     []string
	}{
		"that a flag names":     {elsewhere, []string{"--token-file", write(t, header)}},
		"that holds it alone":   {elsewhere, []string{"--token-file=" + write(t, s.token)}},
		"that a variable names": {write(t, header), nil},
		"in the data folder":    {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("VIVA_DATA_DIR", data)
			t.Setenv("VIVA_TOKEN_FILE", test.variable)
			got := run(t, "", append([]string{"whoami"}, test.args...)...)
			require.Zero(t, got.code, got.stderr)
			require.Equal(t, ""+
				"id       t1\n"+
				"name     admin\n"+
				"token    vivat_…wXyZ\n"+
				"scopes   keys:read, keys:write\n"+
				"created  2026-03-01 12:00:00\n"+
				"expires  -\n", got.stdout)
		})
	}
}

func TestMissingTokenSaysHowToGiveOne(t *testing.T) {
	s := start(t, nil)
	t.Setenv("VIVA_DATA_DIR", t.TempDir())
	for name, test := range map[string]struct {
		variable, source string
		args             []string
	}{
		"of a flag":       {"", "--token-file: ", []string{"--token-file", "/nowhere"}},
		"of a variable":   {"/nowhere", "$VIVA_TOKEN_FILE: ", nil},
		"of the folder":   {"", "admin.header: ", nil},
		"that is a place": {t.TempDir(), "is a directory", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("VIVA_TOKEN_FILE", test.variable)
			got := run(t, "", append([]string{"keys", "list"}, test.args...)...)
			require.Equal(t, 2, got.code)
			require.Contains(t, got.stderr, test.source)
			if name != "that is a place" {
				require.Contains(t, got.stderr, "$VIVA_TOKEN_FILE")
				require.Contains(t, got.stderr, "viva tokens create")
			}
		})
	}
	require.Empty(t, s.requests)
}

func TestTokenOnTheCommandLineIsRefusedUnrepeated(t *testing.T) {
	s := start(t, nil)
	odd := s.token[:20] // as when it was pasted in part
	for _, args := range [][]string{
		{"keys", "list", "--token", s.token}, {"keys", "list", "--token=" + s.token}, {"keys", "list", "--token-file", s.token},
		{"keys", "list", "--token-file=" + odd}, {"keys", "list", s.token}, {"keys", s.token}, {s.token}, {"keys", "get", "a", s.token},
	} {
		got := run(t, "", args...)
		require.Equal(t, 2, got.code, args)
		require.NotContains(t, got.stdout+got.stderr, odd, args)
	}
	t.Setenv("VIVA_TOKEN_FILE", s.token)
	got := run(t, "", "keys", "list")
	require.Equal(t, 2, got.code)
	require.NotContains(t, got.stdout+got.stderr, odd)
	require.Empty(t, s.requests)
}

func TestProblemsNameEachBadField(t *testing.T) {
	busy := apierror.New(apierror.CodeRateLimited, "Too many failures")
	busy.RetryAfter = 3600e9
	start(t, map[string]reply{
		"POST /api/v1/keys": problem(apierror.Invalid(
			apierror.Field{In: apierror.Body, Name: "rules[0].window", Detail: "must be 100ms to 744h"},
			apierror.Field{In: apierror.Query, Name: "sort", Detail: "must be one of: name"},
		)),
		"GET /api/v1/keys/k": problem(apierror.NotFound("key")),
		"GET /api/v1/keys":   problem(busy),
	})
	for want, args := range map[string][]string{
		"viva: Some fields are not valid; errors names each of them (validation_failed, request r1)\n" +
			"  rules[0].window: must be 100ms to 744h\n  query sort: must be one of: name\n": {"keys", "create", "Checkout"},
		"viva: There is no such key (not_found, request r1)\n":                         {"keys", "get", "k"},
		"viva: Too many failures; try again in 1h0m0s (rate_limited, request r1)\n":    {"keys", "list"},
		"viva: An id or name is empty, or dots alone (not_found)\n":                    {"owners", "get", ".."},
		"viva: the server's URL must begin with http:// or https:// and name a host\n": {"keys", "list", "--server", "localhost:1"},
	} {
		got := run(t, "", args...)
		require.Equal(t, want, got.stderr)
		require.Empty(t, got.stdout)
		require.NotZero(t, got.code)
	}
}

func TestServerThatIsAwayIsNamed(t *testing.T) {
	start(t, nil)
	gone := httptest.NewServer(nil)
	gone.Close()
	got := run(t, "", "keys", "revoke", "k", "--server", gone.URL)
	require.Equal(t, 1, got.code)
	require.Equal(t, "viva: cannot reach "+gone.URL+": connection refused; is `viva serve` running there?\n", got.stderr)
}

func TestInterruptionIsNoFailureToExplain(t *testing.T) {
	start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := runWith(ctx, strings.NewReader(""), "keys", "list")
	require.Equal(t, 1, got.code)
	require.Equal(t, "viva: interrupted\n", got.stderr)
}

func TestUnknownCommandsAreMistakes(t *testing.T) {
	for want, args := range map[string][]string{
		"viva: unknown command: did you mean get or list?\n":                                       {"keys", "lst"},
		"viva: unknown command: did you mean keys?\n":                                              {"kys"},
		"viva: unknown command: viva --help lists them\n":                                          {"viva_live_000"},
		"viva: unknown command: viva owners --help lists them\n":                                   {"owners", "zzzzzz", "--output", "json"},
		"viva: unknown command: did you mean create?\n":                                            {"tokens", "creat"},
		"viva: takes no arguments, but was given 1\n":                                              {"keys", "list", "viva_live_000"},
		"viva: wants one argument, ID\n":                                                           {"keys", "revoke"},
		"viva: wants at most one argument, EXTERNAL_ID\n":                                          {"owners", "create", "a", "b"},
		"viva: wants one argument, NAME, or --from\n":                                              {"plans", "create", "--from", ""},
		"viva: unknown flag: --nope\n":                                                             {"check", "--nope", "x"},
		"viva: invalid argument \"yaml\" for \"-o, --output\" flag: must be one of: table, json\n": {"whoami", "-o", "yaml"},
	} {
		got := run(t, "", args...)
		require.Equal(t, want, got.stderr)
		require.Equal(t, 2, got.code)
		require.Empty(t, got.stdout)
	}
	for _, args := range [][]string{nil, {"keys"}, {"keys", "--help"}} {
		got := run(t, "", args...)
		require.Zero(t, got.code)
		require.Contains(t, got.stdout, "Available Commands:")
	}
}
