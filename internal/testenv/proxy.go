package testenv

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// A Proxy forwards TCP connections to a server and breaks them as told. It starts out faithful. Its methods may be
// called from any goroutine.
type Proxy struct {
	tb     testing.TB
	target string // as given
	port   *port
	owned  sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while cut
	links    map[*link]struct{}
	delay    time.Duration
	black    bool
	strikes  strikes
}

// StartProxy puts a proxy in front of target, a host:port or a URL with one, until the test ends.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	port, err := reservePort()
	if err != nil {
		tb.Fatalf("testenv: %v", err)
	}
	p := &Proxy{tb: tb, target: target, port: port, links: map[*link]struct{}{}}
	tb.Cleanup(p.stop)
	if err := p.listen(); err != nil {
		tb.Fatalf("testenv: %v", err)
	}
	return p
}

// Addr is the host:port where the proxy listens, also across Cut and Restore.
func (p *Proxy) Addr() string { return p.port.addr() }

// URL is the target's URL with the proxy's address in place of the server's.
func (p *Proxy) URL() string {
	u, err := url.Parse(p.target)
	if err != nil || u.Host == "" {
		p.tb.Fatalf("testenv: the proxy's target %q is not a URL", p.target)
	}
	u.Host = p.Addr()
	return u.String()
}

// Cut drops every connection and refuses new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut()
	p.drop()
}

// Blackhole accepts connections and swallows what they send, and answers nothing, also on connections already made.
func (p *Proxy) Blackhole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.black = true
}

// Delay holds back all bytes for d, in each direction. It does not limit throughput. Zero ends it.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Restore ends every fault. Connections that were swallowed or fell silent are dropped, since their streams have holes.
func (p *Proxy) Restore() {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.black || p.strikes.fault == HoldReply {
		p.drop()
	}
	p.black, p.delay, p.strikes = false, 0, strikes{}
	if p.listener == nil {
		if err := p.listen(); err != nil {
			p.tb.Errorf("testenv: %v", err)
		}
	}
}

func (p *Proxy) stop() {
	p.Cut()
	p.owned.Wait()
	if err := p.port.release(); err != nil {
		p.tb.Errorf("testenv: %v", err)
	}
}

// shut closes the listener, with the lock held.
func (p *Proxy) shut() {
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
}

// drop closes every connection, with the lock held.
func (p *Proxy) drop() {
	for l := range p.links {
		l.close()
	}
}

func (p *Proxy) listen() error {
	listener, err := net.Listen("tcp", p.Addr())
	if err != nil {
		return fmt.Errorf("listen for the proxy: %w", err)
	}
	p.listener = listener
	p.owned.Go(func() { p.accept(listener) })
	return nil
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.tb.Errorf("testenv: accept for the proxy: %v", err)
			return
		}
		p.admit(listener, client)
	}
}

// admit begins to serve a connection, unless its listener was cut meanwhile.
func (p *Proxy) admit(listener net.Listener, client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != listener {
		client.Close()
		return
	}
	l := &link{proxy: p, client: client, done: make(chan struct{})}
	p.links[l] = struct{}{}
	p.owned.Go(func() {
		l.serve()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	})
}

func (p *Proxy) faults() (delay time.Duration, black bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay, p.black
}

func (p *Proxy) targetAddr() string {
	if u, err := url.Parse(p.target); err == nil && u.Host != "" {
		return u.Host
	}
	return p.target
}
