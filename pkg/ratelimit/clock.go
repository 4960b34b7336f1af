package ratelimit

import (
	"sync/atomic"
	"time"
)

// wallClock reads the time of day at about half the cost of time.Now: it reads
// the monotonic clock alone, and adds where that stood on the wall clock. It
// looks at the wall clock once a second, to follow one that was set.
type wallClock struct{ anchor atomic.Pointer[anchor] }

type anchor struct {
	at     time.Time
	micros int64 // since the Unix epoch
}

const anchorFor = time.Second

func newWallClock() *wallClock {
	c := new(wallClock)
	c.set()
	return c
}

func (c *wallClock) set() int64 {
	now := time.Now()
	c.anchor.Store(&anchor{now, now.UnixMicro()})
	return now.UnixMicro()
}

// micros returns microseconds since the Unix epoch.
func (c *wallClock) micros() int64 {
	anchor := c.anchor.Load()
	elapsed := time.Since(anchor.at)
	if elapsed > anchorFor {
		return c.set()
	}
	return anchor.micros + int64(elapsed/time.Microsecond)
}

// CoarseClock is a clock that is read in a nanosecond or two, where reading the
// real one is a good part of a Take on Memory. It moves every millisecond: a
// caller that waits for RetryAfter by a better clock may come up to that much
// too early, and is then told to wait for the rest.
type CoarseClock struct {
	micros atomic.Int64
	stop   chan struct{}
	done   chan struct{}
}

// NewCoarseClock returns a running clock, for WithClock(clock.Now). Its owner
// stops it.
func NewCoarseClock() *CoarseClock {
	c := &CoarseClock{stop: make(chan struct{}), done: make(chan struct{})}
	c.micros.Store(time.Now().UnixMicro())
	go c.run()
	return c
}

func (c *CoarseClock) run() {
	defer close(c.done)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-c.stop:
			return
		case now := <-ticker.C:
			c.micros.Store(now.UnixMicro())
		}
	}
}

// Now returns the time of the latest tick. After Stop it stands still.
func (c *CoarseClock) Now() time.Time { return time.UnixMicro(c.micros.Load()) }

// Stop stops the clock and waits until it has.
func (c *CoarseClock) Stop() {
	close(c.stop)
	<-c.done
}
