package httplimit

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// A KeyFunc tells who is asking. All requests of one key are counted together,
// so a key must not be of the asker's own choosing.
//
// An empty key, or an error that wraps ErrUnidentified, says that the request
// does not tell; any other error says that finding out failed. See Refusals.
type KeyFunc func(r *http.Request) (string, error)

// ErrUnidentified is the error about a request that does not say who is
// asking.
var ErrUnidentified = errors.New("the request does not say who is asking")

// ByIP is the KeyFunc of the address that the connection comes from, by
// AddrKey. It believes no header. Behind a proxy all requests come from the
// proxy: use ByForwardedFor there.
func ByIP(r *http.Request) (string, error) {
	addr := parseAddr(r.RemoteAddr)
	if !addr.IsValid() {
		return "", errNoAddress(r)
	}
	// There is one way to write an IPv4 address, so it need not be written again.
	if host, port, ok := strings.Cut(r.RemoteAddr, ":"); ok && addr.Is4() && !strings.Contains(port, ":") {
		return host, nil
	}
	return AddrKey(addr), nil
}

// AddrKey is the key of a client at that address, for key functions that find
// the address elsewhere: an IPv4 address as it is, of an IPv6 address the /64
// network, since one host has all of it to choose from. It is empty for the
// zero Addr.
func AddrKey(addr netip.Addr) string {
	switch addr = addr.Unmap(); {
	case !addr.IsValid():
		return ""
	case addr.Is4():
		return addr.String()
	}
	network := netip.PrefixFrom(addr, 64).Masked()
	var scratch [len("ffff:ffff:ffff:ffff::/64")]byte
	return string(network.AppendTo(scratch[:0]))
}

// ByHeader returns the KeyFunc of a header that identifies the caller, such as
// X-Api-Key. The key is the SHA-256 of the value: no secret gets into the store
// and none makes for a longer key. In Authorization, schemes that differ in case
// or in the space that follows are the same.
//
// A header that is absent, empty or repeated identifies nobody. The value must
// be known to be valid before the limiter sees it, or every value that someone
// makes up has counters of its own.
func ByHeader(name string) (KeyFunc, error) {
	if !isToken(name) {
		return nil, fmt.Errorf("httplimit: ByHeader: name %q must be that of a header", name)
	}
	name = http.CanonicalHeaderKey(name)
	if name == "Host" {
		return nil, errors.New("httplimit: ByHeader: name must not be Host, which is in Request.Host")
	}
	missing := fmt.Errorf("%w: header %s must come once", ErrUnidentified, name)
	return func(r *http.Request) (string, error) {
		values := r.Header[name]
		if len(values) != 1 || values[0] == "" {
			return "", missing
		}
		var scratch [256]byte
		text := scratch[:0]
		if name == "Authorization" {
			text = appendCredentials(text, values[0])
		} else {
			text = append(text, values[0]...)
		}
		sum := sha256.Sum256(text)
		return base64.RawURLEncoding.EncodeToString(sum[:]), nil
	}, nil
}

// appendCredentials writes what is the same for every server that reads it
// leniently. Otherwise one key would have as many limits as there are ways to
// write "Bearer".
func appendCredentials(b []byte, value string) []byte {
	end := strings.IndexAny(value, " \t")
	if end < 0 {
		return append(b, value...)
	}
	for _, c := range []byte(value[:end]) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	b = append(b, ' ')
	return append(b, strings.Trim(value[end:], " \t")...)
}

// isToken tells whether s can be the name of a header (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
