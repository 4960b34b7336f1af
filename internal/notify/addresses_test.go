package notify

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/viva/rate-limiter/internal/models"
)

func TestAddressesThatAreReached(t *testing.T) {
	for _, a := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0",
		"192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2606:4700:4700::1111", "2a00:1450:4001:800::200e", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1",
	} {
		require.True(t, networks(nil).admits(netip.MustParseAddr(a)), a)
	}
	for _, a := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
		"203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
		"::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "2001::1",
		"2001:db8::1", "3fff::1", "64:ff9b:1::1", "4000::1", "::127.0.0.1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "2002:a9fe:a9fe::1",
	} {
		require.False(t, networks(nil).admits(netip.MustParseAddr(a)), a)
	}
}

func TestAllowedNetworks(t *testing.T) {
	allowed := allowing([]netip.Prefix{
		netip.MustParsePrefix("10.1.2.3/16"), netip.MustParsePrefix("::ffff:192.168.0.0/112"), netip.MustParsePrefix("fd00::/8"),
	})
	for a, want := range map[string]bool{
		"10.1.255.1": true, "::ffff:10.1.0.1": true, "64:ff9b::10.1.0.1": true, "10.2.0.1": false, "192.168.9.9": true,
		"192.169.0.1": true, "192.168.0.1": true, "172.16.0.1": false, "fd12::1": true, "fd12::1%eth0": true, "fc12::1": false,
		"127.0.0.1": false, "1.1.1.1": true,
	} {
		require.Equal(t, want, allowed.admits(netip.MustParseAddr(a)), a)
	}
}

// dns is a server of names that answers the n-th question for addresses of IPv4
// with the n-th list, and with the last one from then on.
func dns(t *testing.T, answers ...[]string) *net.Resolver {
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for asked := 0; ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil {
				continue
			}
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionAvailable: true}, Questions: m.Questions}
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				for _, a := range answers[min(asked, len(answers)-1)] {
					reply.Answers = append(reply.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
						Body:   &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()},
					})
				}
				asked++
			}
			if packed, err := reply.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	var d net.Dialer
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// pair listens on one port of two addresses: one that is allowed, and a trap.
func pair(t *testing.T, allowed, trap string) (port string, reached, trapped *atomic.Int32) {
	reached, trapped = new(atomic.Int32), new(atomic.Int32)
	serve := func(l net.Listener, count *atomic.Int32) {
		server := &httptest.Server{Listener: l, Config: &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				count.Add(1)
				w.Header().Set("Connection", "close") // each message opens a connection of its own
			}),
			ConnState: func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew && count == trapped {
					count.Add(1)
				}
			},
		}}
		server.Start()
		t.Cleanup(server.Close)
	}
	for range 20 {
		first, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(allowed, "0"))
		require.NoError(t, err)
		port = strconv.Itoa(first.Addr().(*net.TCPAddr).Port)
		second, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(trap, port))
		if err != nil { // somebody else has that one
			first.Close()
			continue
		}
		serve(first, reached)
		serve(second, trapped)
		return port, reached, trapped
	}
	require.Fail(t, "no port is free on both addresses")
	return "", nil, nil
}

// A name that meant an allowed address when it was looked at, and means another
// when it is connected to.
func TestRebindingNameIsRefused(t *testing.T) {
	port, reached, trapped := pair(t, "127.0.0.2", "127.0.0.1")
	s := newSender(t, Options{
		AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
		Resolver: dns(t, []string{"127.0.0.2"}, []string{"127.0.0.1"}, []string{"127.0.0.1", "127.0.0.2"}, []string{"169.254.169.254"}),
	})
	d := webhook("http://hooks.rebind.example:" + port)

	require.True(t, s.Send(t.Context(), d, "", message(1)).Delivered)
	sent := s.Send(t.Context(), d, "", message(1))
	require.Equal(t, "the address 127.0.0.1 is not public, and not in notify.allow_networks", sent.Error)
	require.False(t, sent.Hopeless, "its address may change again")
	require.True(t, s.Send(t.Context(), d, "", message(1)).Delivered, "of two addresses, the allowed one is taken")
	sent = s.Send(t.Context(), d, "", message(1))
	require.Equal(t, "the address 169.254.169.254 is not public, and not in notify.allow_networks", sent.Error)
	require.Equal(t, int32(2), reached.Load())
	require.Zero(t, trapped.Load())
}

// Every way to write this machine's address is refused, with the form's check
// and, where a resolver knows more forms than that, without it.
func TestLiteralAddressesAreRefused(t *testing.T) {
	port, _, trapped := pair(t, "127.0.0.2", "127.0.0.1")
	for name, resolver := range map[string]*net.Resolver{
		"the system's resolver": nil, "a resolver that reads them all": dns(t, []string{"127.0.0.1"}),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSender(t, Options{AllowHTTP: true, Resolver: resolver})
			for _, host := range []string{
				"2130706433", "0x7f000001", "017700000001", "127.1", "0177.0.0.1", "127.0.0.1", "127.0.0.1.", "localhost", "LOCALHOST.",
				"[::ffff:127.0.0.1]", "[::1]", "[::]", "0.0.0.0", "0", "[64:ff9b::7f00:1]",
			} {
				url := "http://" + host + ":" + port + "/"
				require.False(t, s.Send(t.Context(), webhook(url), "", message(1)).Delivered, host)
				resp, err := s.client.Post(url, "", nil)
				if err == nil {
					resp.Body.Close()
				}
				require.Error(t, err, host)
			}
		})
	}
	require.Zero(t, trapped.Load())
}

func TestSlackIsFilteredToo(t *testing.T) {
	port, _, trapped := pair(t, "127.0.0.2", "127.0.0.1")
	s := newSender(t, Options{AllowHTTP: true, Resolver: dns(t, []string{"127.0.0.1"})})
	sent := s.Send(t.Context(), &models.Destination{Type: "slack", URL: "http://slack.example:" + port}, "", message(1))
	require.Contains(t, sent.Error, "not public")
	require.Zero(t, trapped.Load())
}
