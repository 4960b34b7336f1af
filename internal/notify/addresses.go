package notify

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// closed are the networks of the Internet's address plan that no public service
// stands in, and the addresses at which clouds tell a machine its secrets. A
// webhook's URL is chosen by whoever may use the API; none may make this service
// call what only this service can reach.
var closed = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32", // Azure's machine agent, within a public network
	"2001::/23",        // Teredo and others that are no destinations
	"2001:db8::/32", "3fff::/20",
)

// Of IPv6 all that is public stands in open; what embeds an address of IPv4 is
// judged by that address.
var (
	open  = netip.MustParsePrefix("2000::/3")
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	sixTo = netip.MustParsePrefix("2002::/16")
)

func prefixes(list ...string) networks {
	n := make(networks, len(list))
	for i, text := range list {
		n[i] = netip.MustParsePrefix(text)
	}
	return n
}

type networks []netip.Prefix

func (n networks) contain(a netip.Addr) bool {
	for _, p := range n {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// allowing reads a list of networks; those of IPv4 may be written as IPv6.
func allowing(list []netip.Prefix) networks {
	n := make(networks, 0, len(list))
	for _, p := range list {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		n = append(n, p.Masked())
	}
	return n
}

// admits tells whether a webhook may go to that address.
func (n networks) admits(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if n.contain(a) {
		return true
	}
	if v4, ok := embedded(a); ok {
		return n.admits(v4)
	}
	return (a.Is4() || open.Contains(a)) && !closed.contain(a)
}

// embedded is the address of IPv4 that a translator would take this one for.
func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixTo.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// refusedAddress says why no connection was tried.
type refusedAddress struct{ addr netip.Addr }

func (r refusedAddress) Error() string {
	return fmt.Sprintf("the address %s is not public, and not in notify.allow_networks", r.addr)
}

// filter looks at each address right before a connection to it is opened: what
// a name meant a moment ago, when somebody checked it, does not matter.
func (n networks) filter(_ context.Context, _, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address to connect to: %w", err)
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("address to connect to: %w", err)
	}
	if !n.admits(a) {
		return refusedAddress{a}
	}
	return nil
}
