package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/viva/rate-limiter/pkg/client"
)

// A call is one check as its client knows it. It is asked once.
type call struct {
	id       string
	cost     int64
	answered bool // or cut off: then the client cannot know whether it counts
}

// A load asks checks from several clients, one after the other from each.
type load struct {
	server   *server
	secret   string
	cancel   context.CancelFunc
	clients  sync.WaitGroup
	answered atomic.Int64

	mu    sync.Mutex
	calls []call
}

func begin(ctx context.Context, s *server, secret string) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{server: s, secret: secret, cancel: cancel}
	for n := range clients {
		l.clients.Go(func() { l.ask(ctx, n) })
	}
	return l
}

// end waits for the clients, and gives all calls.
func (l *load) end() []call {
	l.cancel()
	l.clients.Wait()
	return l.calls
}

func (l *load) ask(ctx context.Context, number int) {
	var calls []call
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.calls = append(l.calls, calls...)
	}()
	var url *string
	var viva *client.Client
	for n := 0; ctx.Err() == nil; n++ {
		if now := l.server.url.Load(); now != url || viva == nil {
			if url = now; viva != nil {
				viva.CloseIdleConnections()
			}
			if viva, _ = l.server.client(); viva == nil {
				pause(ctx, 2*time.Millisecond)
				continue
			}
		}
		c := call{id: fmt.Sprintf("demo.%d.%d", number, n), cost: 1 + rand.Int64N(9)}
		// Not the context that ends: what was begun is waited for.
		_, err := viva.Validate(named(context.WithoutCancel(ctx), c.id), client.Check{APIKey: l.secret, Cost: &c.cost})
		if errors.Is(err, syscall.ECONNREFUSED) {
			pause(ctx, 2*time.Millisecond)
			continue // it was never sent
		}
		if c.answered = err == nil; c.answered {
			l.answered.Add(1)
		}
		calls = append(calls, c)
	}
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// A screen shows how the load goes: on one line of a terminal, otherwise on a
// line for each life.
type screen struct {
	terminal bool
	began    time.Time
}

func newScreen() *screen {
	info, err := os.Stdout.Stat()
	return &screen{terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, began: time.Now()}
}

// watch shows the load for some time.
func (s *screen) watch(ctx context.Context, d time.Duration, l *load, killed int) error {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
			if s.terminal {
				s.show(l, killed)
			}
		case <-end.C:
			s.show(l, killed)
			return nil
		}
	}
}

func (s *screen) show(l *load, killed int) {
	n := l.answered.Load()
	begin, end := "", "\n"
	if s.terminal {
		begin, end = "\r\x1b[K", ""
	}
	fmt.Printf("%sanswered so far %d   %.0f checks/s   killed %d of %d%s", begin, n, float64(n)/time.Since(s.began).Seconds(), killed, kills, end)
}

// end leaves the line.
func (s *screen) end() {
	if s.terminal {
		fmt.Println()
	}
}
