package middleware

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// ClientIP tells where a request comes from: its peer or, where that is a
// trusted proxy, the nearest address before it that is not one.
func (p Proxies) ClientIP(r *http.Request) netip.Addr {
	peer := parseAddr(r.RemoteAddr)
	if !p.trusts(peer) {
		return peer
	}
	return p.ForwardedFor(r.Header, peer)
}

// ForwardedFor reads X-Forwarded-For on the word of a peer that is known to be
// a proxy. Addresses are read from the right, where the nearest proxy wrote:
// the first that is no trusted proxy is the client, since everything left of
// it is the client's own invention. All lines of the header count, as a proxy
// may have added its own.
func (p Proxies) ForwardedFor(h http.Header, peer netip.Addr) netip.Addr {
	for _, line := range slices.Backward(h["X-Forwarded-For"]) {
		hops := strings.Split(line, ",")
		for _, hop := range slices.Backward(hops) {
			addr := parseAddr(strings.TrimSpace(hop))
			if !addr.IsValid() {
				return peer
			}
			if peer = addr; !p.trusts(peer) {
				return peer
			}
		}
	}
	return peer
}

func (p Proxies) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// parseAddr reads an address with or without a port; the zero Addr if it is
// neither.
func parseAddr(s string) netip.Addr {
	if addr, err := netip.ParseAddrPort(s); err == nil {
		return addr.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
