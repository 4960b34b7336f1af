package httplimit

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds the addresses of an X-Forwarded-For that are looked at.
const maxHops = 64

// maxAddr is longer than an address, with port and a zone, has reason to be.
const maxAddr = 80

// proxies are the peers whose X-Forwarded-For is believed.
type proxies struct {
	networks []netip.Prefix
	unix     bool
}

// ByForwardedFor returns the KeyFunc of the client's address, by AddrKey, for a
// server behind proxies. They are given as networks or addresses, such as
// 10.0.0.0/8 or 2001:db8::1; "unix" stands for every peer on a Unix socket.
//
// X-Forwarded-For is read only if the connection comes from one of them, and
// from right to left: the client is the first address that is none of them,
// since what is left of it is its own invention. Where there is no such
// address, or an entry is no address, it is the last proxy before.
func ByForwardedFor(trusted ...string) (KeyFunc, error) {
	p := proxies{networks: make([]netip.Prefix, 0, len(trusted))}
	if len(trusted) == 0 {
		return nil, fmt.Errorf("httplimit: ByForwardedFor: trusted must name a proxy; without one, ByIP is right")
	}
	for i, s := range trusted {
		if s == "unix" {
			p.unix = true
			continue
		}
		network, reason := parseNetwork(s)
		if reason != "" {
			return nil, fmt.Errorf("httplimit: ByForwardedFor: trusted[%d] %q %s", i, s, reason)
		}
		p.networks = append(p.networks, network)
	}
	return func(r *http.Request) (string, error) {
		addr := p.client(r)
		if !addr.IsValid() {
			return "", errNoAddress(r)
		}
		return AddrKey(addr), nil
	}, nil
}

func parseNetwork(s string) (network netip.Prefix, reason string) {
	network, err := netip.ParsePrefix(s)
	if err != nil {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return network, "must be a network, an address or unix"
		}
		network = netip.PrefixFrom(addr, addr.BitLen())
	}
	if network.Addr().Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	if network.Bits() == 0 {
		return network, "must not be every address: each client could then choose its own"
	}
	return network, ""
}

// client finds the address of the client. The zero Addr says that the
// connection has none, and that no proxy told one.
func (p *proxies) client(r *http.Request) netip.Addr {
	addr := parseAddr(r.RemoteAddr)
	trusted := p.trusts(addr)
	if !addr.IsValid() {
		trusted = p.unix && overUnix(r)
	}
	if !trusted {
		return addr
	}
	lines := r.Header["X-Forwarded-For"]
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; hops++ {
			if hops == maxHops {
				return addr
			}
			comma := strings.LastIndexByte(rest, ',')
			entry := strings.TrimSpace(rest[comma+1:])
			if more = comma >= 0; more {
				rest = rest[:comma]
			}
			if entry == "" { // RFC 9110, 5.6.1.2: as if it were not there
				continue
			}
			hop := parseAddr(entry)
			if !hop.IsValid() {
				return addr
			}
			if addr = hop; !p.trusts(addr) {
				return addr
			}
		}
	}
	return addr
}

func (p *proxies) trusts(addr netip.Addr) bool {
	for _, network := range p.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

func overUnix(r *http.Request) bool {
	_, ok := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr)
	return ok
}

// parseAddr reads an address, with or without brackets and port; the zero Addr
// if it is none. IPv4 in IPv6 is IPv4, and zones are dropped.
func parseAddr(s string) netip.Addr {
	if len(s) > maxAddr {
		return netip.Addr{}
	}
	bracketed := strings.HasPrefix(s, "[")
	if bracketed || strings.Count(s, ":") == 1 {
		if parsed, err := netip.ParseAddrPort(s); err == nil {
			return parsed.Addr().Unmap().WithZone("")
		}
	}
	if bracketed {
		inner, closed := strings.CutSuffix(s[1:], "]")
		if !closed || !strings.Contains(inner, ":") {
			return netip.Addr{}
		}
		s = inner
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func errNoAddress(r *http.Request) error {
	if overUnix(r) {
		return fmt.Errorf("a connection over a Unix socket has no client address, unless a trusted proxy tells it")
	}
	return fmt.Errorf("the connection's address %.*q is none", maxAddr, r.RemoteAddr)
}
