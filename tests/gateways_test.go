//go:build journeys

package tests

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The gateways run as docs/gateways.md configures them, but for the addresses.
func TestGateways(t *testing.T) {
	t.Run("nginx", func(t *testing.T) { standBetween(t, startNginx, http.StatusServiceUnavailable) })
	t.Run("caddy", func(t *testing.T) { standBetween(t, startCaddy, http.StatusUnauthorized) })
}

// A gateway starts in front of the upstream and asks viva with a token.
type gateway func(t *testing.T, viva, upstream, token string) (url string)

func standBetween(t *testing.T, start gateway, badToken int) {
	service := startAlone(t)
	admin := service.client()
	token := into[struct{ Token string }](t, admin.call(201, "POST", "/api/v1/admin/tokens",
		object{"name": "gateway", "scopes": []string{"checks:write"}})).Token
	up := startUpstream(t)
	c := newClient(t, start(t, service.url, up.url, token), "")

	admin.call(201, "POST", "/api/v1/owners", object{"external_id": "cust_42"})
	k := admin.create(object{"name": "any", "owner": "cust_42"})
	t.Run("right calls pass", func(t *testing.T) {
		c := c.in(t)
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			got := c.call(200, method, "/v1/things?q=1", `{"n": 1}`, "X-Api-Key", k.Secret, "X-Viva-Owner", "somebody else")
			require.Equal(t, `upstream got `+method+` /v1/things?q=1 {"n": 1}`, string(got.body))
			require.Regexp(t, `"per-minute";r=\d+;t=\d+`, got.header.Get("RateLimit"))
			require.Regexp(t, `"per-minute";q=60;w=60`, got.header.Get("RateLimit-Policy"))
			seen := up.last()
			require.Equal(t, []string{k.ID}, seen["X-Viva-Key-Id"])
			require.Equal(t, []string{"cust_42"}, seen["X-Viva-Owner"])
			require.NotContains(t, fmt.Sprint(seen), token)
		}
		c.as(k.Secret).call(200, "GET", "/", nil) // Authorization: Bearer
		c.call(200, "HEAD", "/", nil, "X-Api-Key", k.Secret)
	})

	refused := func(t *testing.T, status int, code, method, path, secret string, headers ...string) answer {
		t.Helper()
		before := up.calls()
		got := c.in(t).call(status, method, path, nil, append(headers, "X-Api-Key", secret)...)
		require.Equal(t, code, got.header.Get("X-Viva-Code"))
		require.Equal(t, before, up.calls(), "the call reached the upstream")
		return got
	}
	t.Run("unknown callers are refused with 401", func(t *testing.T) {
		gone := admin.create(object{"name": "gone"})
		admin.call(200, "POST", "/api/v1/keys/"+gone.ID+"/revoke", nil)
		for secret, code := range map[string]string{"": "key_malformed", "garbage": "key_malformed", gone.Secret: "key_revoked"} {
			got := refused(t, 401, code, "GET", "/", secret)
			require.Equal(t, "Bearer", got.header.Get("WWW-Authenticate"))
		}
	})
	t.Run("calls a key may not make are refused with 403", func(t *testing.T) {
		narrow := admin.create(object{"name": "narrow", "endpoints": []string{"/v1/**"}, "methods": []string{"GET"}})
		away := admin.create(object{"name": "elsewhere", "allowed_ips": []string{"192.0.2.1"}})
		c.in(t).call(200, "GET", "/v1/things", nil, "X-Api-Key", narrow.Secret)
		refused(t, 403, "endpoint_denied", "GET", "/v2/things", narrow.Secret)
		refused(t, 403, "endpoint_denied", "POST", "/v1/things", narrow.Secret)
		refused(t, 403, "endpoint_denied", "GET", "/v1/%2e%2e/v2/things", narrow.Secret)
		refused(t, 403, "ip_denied", "GET", "/", away.Secret)
		// What a client says about its own call is not believed.
		refused(t, 403, "endpoint_denied", "POST", "/v2/things", narrow.Secret,
			"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/v1/things", "X-Original-Method", "GET", "X-Original-URI", "/v1/things")
		refused(t, 403, "ip_denied", "GET", "/", away.Secret, "X-Forwarded-For", "192.0.2.1", "X-Real-IP", "192.0.2.1")
	})
	t.Run("calls beyond the limit are refused with 429", func(t *testing.T) {
		few := admin.create(object{"name": "few", "rules": []object{{"name": "few", "limit": 2, "window": "1h"}}})
		for range 2 {
			c.in(t).call(200, "GET", "/", nil, "X-Api-Key", few.Secret)
		}
		got := refused(t, 429, "rate_limited", "GET", "/", few.Secret)
		require.Regexp(t, `^[1-9]\d*$`, got.header.Get("Retry-After"))
		require.Contains(t, got.header.Get("RateLimit"), `"few";r=0;t=`)
		require.Contains(t, got.header.Get("RateLimit-Policy"), `"few";q=2;w=3600`)
	})
	t.Run("nothing passes when Viva cannot say", func(t *testing.T) {
		wrong := newClient(t, start(t, service.url, up.url, newToken(t)), "")
		before := up.calls()
		got := wrong.call(badToken, "GET", "/", nil, "X-Api-Key", k.Secret)
		require.Empty(t, got.header.Get("X-Viva-Code"), "it is not about the client")
		service.kill()
		got, err := c.in(t).send("GET", "/", nil, "X-Api-Key", k.Secret)
		require.NoError(t, err)
		require.GreaterOrEqual(t, got.status, 500)
		require.Equal(t, before, up.calls())
	})
}

// Envoy appends the path of the call, with its query, to the one it is told, and asks with the call's own method. It
// is no package of Debian's, so this asks as it does.
func TestWhatEnvoyAsks(t *testing.T) {
	admin := startAlone(t).client()
	k := admin.create(object{"name": "narrow", "endpoints": []string{"/v1/**"}, "rules": []object{{"name": "few", "limit": 2, "window": "1h"}}})
	envoy := admin.as("")
	ask := func(status int, method, path string) {
		t.Helper()
		got := envoy.call(status, method, "/api/v1/authorize"+path, nil, "X-Viva-Token", admin.token, "X-Api-Key", k.Secret)
		require.Empty(t, got.body)
	}
	ask(403, "GET", "/v2/things")
	ask(200, "GET", "/v1/things?q=1&q=2")
	ask(200, "DELETE", "/v1/things/%2F?%zz")
	ask(429, "GET", "/v1/things?deny_status=418")
}

func startAlone(t *testing.T) *process {
	t.Helper()
	return start(t, alone(t), "viva", "serve")
}

// An upstream is the API behind a gateway. It answers with what it got.
type upstream struct {
	url  string
	mu   sync.Mutex
	seen []http.Header
}

func startUpstream(t *testing.T) *upstream {
	t.Helper()
	up := new(upstream)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up.mu.Lock()
		up.seen = append(up.seen, r.Header.Clone())
		up.mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the upstream did not get the body: %v", err)
		}
		fmt.Fprintf(w, "upstream got %s %s %s", r.Method, r.RequestURI, body)
	}))
	t.Cleanup(server.Close)
	up.url = server.URL
	return up
}

func (u *upstream) calls() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.seen)
}

func (u *upstream) last() http.Header {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[len(u.seen)-1]
}

const nginxConfig = `
daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path       %[1]s/proxy;
	fastcgi_temp_path     %[1]s/fastcgi;
	uwsgi_temp_path       %[1]s/uwsgi;
	scgi_temp_path        %[1]s/scgi;
%[2]s
}
`

func startNginx(t *testing.T, viva, upstream, token string) (url string) {
	t.Helper()
	folder, addr := t.TempDir(), freeAddr(t)
	tokenFile := filepath.Join(folder, "viva_token.conf")
	write(t, tokenFile, replaced(t, documented(t, "nginx token"), "vivat_0123456789ABCDEFGHIJKLMNOPQRSTUVabcdef", token))
	servers := replaced(t, documented(t, "nginx"),
		"127.0.0.1:8080", host(viva), "127.0.0.1:9000", host(upstream), "listen 80;", "listen "+addr+";", "/etc/nginx/viva_token.conf", tokenFile)
	write(t, filepath.Join(folder, "nginx.conf"), fmt.Sprintf(nginxConfig, folder, servers))
	launch(t, nil, installed(t, "nginx"), "-p", folder, "-c", "nginx.conf", "-e", "stderr")
	return answering(t, "http://"+addr)
}

func startCaddy(t *testing.T, viva, upstream, token string) (url string) {
	t.Helper()
	folder, addr := t.TempDir(), freeAddr(t)
	site := replaced(t, documented(t, "caddyfile"),
		"127.0.0.1:8080", host(viva), "127.0.0.1:9000", host(upstream), ":80 {", "http://"+addr+" {")
	write(t, filepath.Join(folder, "Caddyfile"), "{\n\tadmin off\n}\n"+site)
	launch(t, settings{"GATEWAY_TOKEN": token, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder},
		installed(t, "caddy"), "run", "--config", filepath.Join(folder, "Caddyfile"), "--adapter", "caddyfile")
	return answering(t, "http://"+addr)
}

// documented is the one configuration of that kind in docs/gateways.md.
func documented(t *testing.T, kind string) string {
	t.Helper()
	blocks := codeBlocks(t, "docs/gateways.md", kind)
	require.Len(t, blocks, 1, kind)
	return blocks[0]
}

// replaced puts new texts in the place of old ones, each of which must be there.
func replaced(t *testing.T, text string, oldNew ...string) string {
	t.Helper()
	for i := 0; i < len(oldNew); i += 2 {
		require.Contains(t, text, oldNew[i])
		text = strings.ReplaceAll(text, oldNew[i], oldNew[i+1])
	}
	return text
}

func write(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

func host(url string) string { return strings.TrimPrefix(url, "http://") }

// installed is the path of a program of the machine. Debian keeps some of them out of people's PATH.
func installed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	require.NoError(t, err, "`make deps` installs it")
	return path
}

// freeAddr is an address that nobody listens on; the programs here cannot say which port they were given.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// answering waits until a server answers at all.
func answering(t *testing.T, url string) string {
	t.Helper()
	c := newClient(t, url, "")
	eventually(t, patience, func() error {
		_, err := c.send("GET", "/", nil)
		return err
	})
	return url
}
