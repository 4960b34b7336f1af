package client_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/client"
)

const token = "vivat_0123456789abcdefghijklmnopqrstuv123456"

// serve starts a service that answers by the handler, and makes a client of it.
func serve(t *testing.T, handler http.HandlerFunc, opts ...client.Option) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, append([]client.Option{client.WithToken(token)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

func TestServerIsNamedByItsURL(t *testing.T) {
	for given, path := range map[string]string{
		"":                "/api/v1/whoami",
		"/":               "/api/v1/whoami",
		"/api/v1":         "/api/v1/whoami",
		"/api/v1/":        "/api/v1/whoami",
		"/viva":           "/viva/api/v1/whoami",
		"/viva%2Fx/":      "/viva%2Fx/api/v1/whoami",
		"/viva/api/v1///": "/viva/api/v1/whoami",
	} {
		t.Run(given, func(t *testing.T) {
			var asked string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.URL.EscapedPath()
				answer(w, 200, `{}`)
			}))
			defer server.Close()
			c, err := client.New(server.URL + given)
			require.NoError(t, err)
			defer c.CloseIdleConnections()
			_, err = c.Whoami(t.Context())
			require.NoError(t, err)
			require.Equal(t, path, asked)
		})
	}
}

func TestURLsThatCannotBeAServerAreRefusedUnrepeated(t *testing.T) {
	for _, given := range []string{
		"", "127.0.0.1:8080", "localhost", "ftp://hunter2", "http://", "http:///hunter2", "http://a:hunter2@b", "http://b?hunter2",
		"http://b#hunter2", "http://b\nhunter2", "unix:///hunter2",
	} {
		_, err := client.New(given)
		require.Error(t, err, given)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestTokenIsReadFromAHeaderFileOrABareOne(t *testing.T) {
	for name, text := range map[string]string{
		"a line of a header": "Authorization: Bearer " + token + "\n",
		"in another case":    "authorization:bearer   " + token,
		"bare":               token,
		"bare, in a line":    "\n" + token + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			var got string
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Get("Authorization")
				answer(w, 200, `{}`)
			}, client.WithHeaderFile(path))
			_, err := c.Whoami(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Bearer "+token, got)
		})
	}
}

func TestTokenFilesThatHoldNoneAreRefusedUnrepeated(t *testing.T) {
	for name, text := range map[string]string{
		"empty":          "",
		"another scheme": "Authorization: Basic hunter2",
		"no token":       "Authorization: Bearer ",
		"several words":  "hunter2 hunter2",
		"several lines":  "hunter2\nhunter2",
		"not ASCII":      "hünter2",
		"another header": "X-Token: hunter2",
		"too long a one": strings.Repeat("hunter2 ", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, err := client.New("http://127.0.0.1", client.WithHeaderFile(path))
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := client.New("http://127.0.0.1", client.WithHeaderFile(filepath.Join(t.TempDir(), "absent")))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	for name, opt := range map[string]client.Option{
		"no HTTP client":   client.WithHTTPClient(nil),
		"no time":          client.WithTimeout(0),
		"fewer than none":  client.WithRetries(-1),
		"too many retries": client.WithRetries(11),
		"an empty token":   client.WithToken(""),
	} {
		_, err := client.New("http://127.0.0.1", opt)
		require.Error(t, err, name)
	}
}

func TestPrintedClientShowsNoToken(t *testing.T) {
	c, err := client.New("http://127.0.0.1", client.WithToken(token))
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		require.NotContains(t, fmt.Sprintf(verb, *c), token)
	}
}

func TestCallsNameTheirProgram(t *testing.T) {
	agents := []string{}
	handler := func(w http.ResponseWriter, r *http.Request) {
		agents = append(agents, r.UserAgent())
		answer(w, 200, `{}`)
	}
	for _, c := range []*client.Client{serve(t, handler), serve(t, handler, client.WithUserAgent("billing/7"))} {
		_, err := c.Whoami(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, []string{"viva-go", "billing/7"}, agents)
}

func TestTokenIsNotTakenElsewhereByARedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("followed")
	}))
	defer elsewhere.Close()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := c.Whoami(t.Context())
	e, ok := apierror.As(err)
	require.True(t, ok)
	require.Equal(t, http.StatusTemporaryRedirect, e.Status())
	require.Contains(t, e.Detail, elsewhere.URL)
}
