package httplimit_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit/httplimit"
)

func TestByIP(t *testing.T) {
	for _, test := range []struct{ remoteAddr, want string }{
		{"192.0.2.1:1234", "192.0.2.1"},
		{"192.0.2.1", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:1234", "192.0.2.1"},
		{"0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"},
		{"[2001:db8:1:2:3:4:5:6]:1234", "2001:db8:1:2::/64"},
		{"[2001:db8:1:2::]:1", "2001:db8:1:2::/64"},
		{"[2001:db8:1:3::]:1", "2001:db8:1:3::/64"},
		{"[fe80::1%eth0]:1", "fe80::/64"},
		{"fe80::1%eth0", "fe80::/64"},
		{"2001:db8::1", "2001:db8::/64"},
		{"[2001:db8::1]", "2001:db8::/64"},

		{"", ""}, {"@", ""}, {":1234", ""}, {"192.0.2.1:", ""}, {"192.0.2.256:1", ""}, {"192.0.2.01:1", ""},
		{"localhost:80", ""}, {"[192.0.2.1]:x", ""}, {"[192.0.2.1]", ""}, {"[2001:db8::1", ""}, {"[]", ""}, {"[", ""},
		{"192.0.2.1, 192.0.2.2", ""}, {" 192.0.2.1", ""}, {"1.2.3.4\x00:5", ""}, {strings.Repeat("1", 1<<20), ""},
		{"[fe80::1%" + strings.Repeat("z", 1<<20) + "]:1", ""},
	} {
		key, err := httplimit.ByIP(request(test.remoteAddr))
		require.Equal(t, test.want, key, "%.40q", test.remoteAddr)
		require.Equal(t, test.want == "", err != nil, "%.40q", test.remoteAddr)
		if err != nil {
			require.NotErrorIs(t, err, httplimit.ErrUnidentified, "not the client's doing")
			require.Less(t, len(err.Error()), 500)
		}
	}
	key, err := httplimit.ByIP(request("192.0.2.1:1",
		"X-Forwarded-For", "203.0.113.9", "X-Real-Ip", "203.0.113.9", "Forwarded", "for=203.0.113.9"))
	require.NoError(t, err)
	require.Equal(t, "192.0.2.1", key, "no header is believed")
}

func TestAddrKey(t *testing.T) {
	require.Empty(t, httplimit.AddrKey(netip.Addr{}))
	require.Equal(t, "192.0.2.1", httplimit.AddrKey(netip.MustParseAddr("::ffff:192.0.2.1")))
	require.Equal(t, "fe80::/64", httplimit.AddrKey(netip.MustParseAddr("fe80::1%eth0")))
}

func TestByForwardedFor(t *testing.T) {
	trusted := []string{"10.0.0.0/8", "192.0.2.1", "fd00::/8", "::ffff:172.16.0.0/108"}
	for _, test := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.9:1", nil, "203.0.113.9"},
		{"no proxy, a claim", "203.0.113.9:1", []string{"198.51.100.7"}, "203.0.113.9"},
		{"one proxy", "10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"one proxy, by address", "192.0.2.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"next to a proxy", "192.0.2.2:1", []string{"198.51.100.7"}, "192.0.2.2"},
		{"a proxy in mapped notation", "[::ffff:10.0.0.1]:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"a network in mapped notation", "172.16.5.5:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"several proxies", "10.0.0.1:1", []string{"198.51.100.7, 10.9.9.9, fd00::1"}, "198.51.100.7"},
		{"a claim before", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.7"}, "198.51.100.7"},
		{"a claim to be a proxy", "10.0.0.1:1", []string{"1.1.1.1, 10.0.0.5, 198.51.100.7"}, "198.51.100.7"},
		{"a claim in a line of its own", "10.0.0.1:1", []string{"1.1.1.1", "198.51.100.7"}, "198.51.100.7"},
		{"lines read on", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.7", "10.0.0.2, 10.0.0.3"}, "198.51.100.7"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8:1:2:3::4"}, "2001:db8:1:2::/64"},
		{"with a port", "10.0.0.1:1", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		{"IPv6 with a port", "10.0.0.1:1", []string{"[2001:db8::1]:4711"}, "2001:db8::/64"},
		{"spaces and empty entries", "10.0.0.1:1", []string{" 198.51.100.7 ,, ", "", ","}, "198.51.100.7"},
		{"proxies only", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"nothing forwarded", "10.0.0.1:1", nil, "10.0.0.1"},
		{"garbage", "10.0.0.1:1", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		{"garbage behind a proxy", "10.0.0.1:1", []string{"198.51.100.7, _hidden, 10.0.0.2"}, "10.0.0.2"},
		{"garbage of a client", "10.0.0.1:1", []string{"\x00\xff', 198.51.100.7"}, "198.51.100.7"},
		{"a long chain", "10.0.0.1:1", []string{"198.51.100.7" + strings.Repeat(",10.0.0.2", 40)}, "198.51.100.7"},
		{"an endless chain", "10.0.0.1:1", []string{"198.51.100.7" + strings.Repeat(",10.0.0.2", 100_000)}, "10.0.0.2"},
		{"an endless entry", "10.0.0.1:1", []string{strings.Repeat("9", 1<<20)}, "10.0.0.1"},
		{"an endless zone", "10.0.0.1:1", []string{"fe80::1%" + strings.Repeat("z", 1<<20)}, "10.0.0.1"},
		{"no peer", "@", []string{"198.51.100.7"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			by, err := httplimit.ByForwardedFor(trusted...)
			require.NoError(t, err)
			r := request(test.peer)
			r.Header["X-Forwarded-For"] = test.forwarded
			key, err := by(r)
			require.Equal(t, test.want, key)
			require.Equal(t, test.want == "", err != nil)
		})
	}
}

func TestByForwardedForOverAUnixSocket(t *testing.T) {
	overUnix := func(headers ...string) *http.Request {
		r := request("@", headers...)
		listener := &net.UnixAddr{Name: "/run/app.sock", Net: "unix"}
		return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, listener))
	}
	by, err := httplimit.ByForwardedFor("unix", "10.0.0.0/8")
	require.NoError(t, err)
	key, err := by(overUnix("X-Forwarded-For", "198.51.100.7, 10.0.0.2"))
	require.NoError(t, err)
	require.Equal(t, "198.51.100.7", key)
	_, err = by(overUnix())
	require.ErrorContains(t, err, "Unix socket")
	_, err = by(request("@", "X-Forwarded-For", "198.51.100.7"))
	require.Error(t, err, "what has no address need not be a Unix socket")

	by, err = httplimit.ByForwardedFor("10.0.0.0/8")
	require.NoError(t, err)
	_, err = by(overUnix("X-Forwarded-For", "198.51.100.7"))
	require.Error(t, err, "not trusted")
	_, err = httplimit.ByIP(overUnix())
	require.ErrorContains(t, err, "Unix socket")
}

func TestByForwardedForRefusesWhatIsNoProxy(t *testing.T) {
	for _, bad := range []string{"", "10.0.0.0/33", "10.0.0", "example.com", "fe80::1%eth0", "Unix", " 10.0.0.1"} {
		_, err := httplimit.ByForwardedFor("10.0.0.0/8", bad)
		want := fmt.Sprintf("httplimit: ByForwardedFor: trusted[1] %q must be a network, an address or unix", bad)
		require.EqualError(t, err, want)
	}
	for _, everyone := range []string{"0.0.0.0/0", "::/0", "1.2.3.4/0", "::ffff:0.0.0.0/96"} {
		_, err := httplimit.ByForwardedFor(everyone)
		require.ErrorContains(t, err, "must not be every address")
	}
	_, err := httplimit.ByForwardedFor()
	require.ErrorContains(t, err, "trusted must name a proxy")
}

func TestByHeader(t *testing.T) {
	by, err := httplimit.ByHeader("x-api-key")
	require.NoError(t, err)
	key := func(headers ...string) string {
		key, err := by(request("", headers...))
		require.NoError(t, err)
		return key
	}
	one := key("X-Api-Key", "one")
	require.Equal(t, "dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z_0Me0", one)
	require.NotEqual(t, one, key("X-Api-Key", "two"))
	require.NotEqual(t, one, key("X-Api-Key", "One"))
	require.Len(t, key("X-Api-Key", strings.Repeat("k", 1<<20)), len(one), "keys are short, however long the header")

	for _, headers := range [][]string{
		nil, {"X-Api-Key", ""}, {"X-Api-Key", "one", "X-Api-Key", "one"}, {"Api-Key", "one"},
	} {
		_, err := by(request("", headers...))
		require.ErrorIs(t, err, httplimit.ErrUnidentified)
		require.ErrorContains(t, err, "header X-Api-Key must come once")
	}
	for _, bad := range []string{"", "X Key", "X-Key:", "Schlüssel", "a\r\nb", "host"} {
		_, err := httplimit.ByHeader(bad)
		require.ErrorContains(t, err, "httplimit: ByHeader: name")
	}
}

func TestAKeyHasOneLimitHoweverItsSchemeIsWritten(t *testing.T) {
	by, err := httplimit.ByHeader("Authorization")
	require.NoError(t, err)
	keys := map[string]bool{}
	for _, value := range []string{
		"Bearer Abc", "bearer Abc", "BEARER  Abc", "bEARER\t Abc", "Bearer Abc ", "Bearer Abc\t",
	} {
		key, err := by(request("", "Authorization", value))
		require.NoError(t, err)
		keys[key] = true
	}
	require.Len(t, keys, 1)
	for _, value := range []string{"Bearer abc", "Basic Abc", "BearerAbc", "Abc", "Bearer A bc"} {
		key, err := by(request("", "Authorization", value))
		require.NoError(t, err)
		require.False(t, keys[key], value)
		keys[key] = true
	}
}

func FuzzByForwardedFor(f *testing.F) {
	f.Add("10.0.0.1:1", "1.1.1.1, 198.51.100.7", "10.0.0.2")
	f.Add("[fd00::1%0]:1", "[2001:db8::1]:1,,", "")
	by, err := httplimit.ByForwardedFor("10.0.0.0/8", "fd00::/8")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, peer, first, second string) {
		// Whoever the client is, a proxy that adds to what it got names it.
		r := request(peer)
		r.Header["X-Forwarded-For"] = []string{first, second}
		key, err := by(r)
		require.Equal(t, key == "", err != nil)
		if err == nil {
			require.True(t, isAddrKey(key), key)
		}
		r = request("10.0.0.1:1")
		r.Header["X-Forwarded-For"] = []string{first, second + ", 198.51.100.7"}
		key, err = by(r)
		require.NoError(t, err)
		require.Equal(t, "198.51.100.7", key)
	})
}

func isAddrKey(key string) bool {
	if network, err := netip.ParsePrefix(key); err == nil {
		return network.Bits() == 64 && network.Masked() == network
	}
	addr, err := netip.ParseAddr(key)
	return err == nil && addr.Is4()
}
