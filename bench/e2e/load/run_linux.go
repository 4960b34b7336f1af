package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// silence is how long a server may take for any answer at all.
	silence = 20 * time.Second
	// drain is how long answers are awaited after the measured time.
	drain = 2 * time.Second
	// tick bounds each wait, so that the end of the run is seen.
	tick = 20 * time.Millisecond
)

// loop is a run under way. All of it belongs to one thread.
type loop struct {
	*Run
	ctx    context.Context
	result *Result
	epoll  int
	conns  []conn
	free   []int // connections with nothing under way; the last one freed is used first, as clients' pools do
	random *rand.Rand
	began  time.Time

	arrivals *arrivals // nil where there is no rate
	waiting  backlog
	marked   int // times Mark was called
	heard    time.Duration
}

// A conn has at most one request under way.
type conn struct {
	fd       int
	wire     []byte // the request, keys and all
	in       []byte
	received int
	since    time.Duration // what its latency counts from
	measured bool
	busy     bool
}

// Do carries the run out, on a thread of its own.
func (r *Run) Do(ctx context.Context) (*Result, error) {
	type outcome struct {
		result *Result
		err    error
	}
	done := make(chan outcome)
	go func() {
		// The thread is not given back: it ends with the goroutine, and with it what is set for it alone.
		runtime.LockOSThread()
		result, err := r.do(ctx)
		done <- outcome{result, err}
	}()
	o := <-done
	return o.result, o.err
}

func (r *Run) do(ctx context.Context) (_ *Result, err error) {
	// Timers are otherwise late by up to 50 µs.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("ask for exact timers: %w", err)
	}
	// On a machine that is full it would otherwise wait for the servers it asks, and its own lateness be taken for
	// theirs. Without the right to it, Late tells how much that is.
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -20); err != nil && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("put the generator first: %w", err)
	}
	l := &loop{Run: r, ctx: ctx, result: new(Result), random: rand.New(rand.NewPCG(r.Seed, 1))}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.open(); err != nil {
		return nil, err
	}
	l.began = time.Now()
	if r.Rate > 0 {
		l.arrivals = newArrivals(r.Rate, rand.New(rand.NewPCG(r.Seed, 2)))
	}
	return l.result, l.run()
}

func (l *loop) open() (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make an epoll: %w", err)
	}
	addr, err := netip.ParseAddrPort(l.Addr)
	if err != nil {
		return fmt.Errorf("read the server's address: %w", err)
	}
	l.conns = make([]conn, l.Connections)
	for i := range l.conns {
		c := &l.conns[i]
		c.wire, c.in, c.fd = bytes.Clone(l.Request.wire), make([]byte, 64<<10), -1
		if err := c.dial(addr); err != nil {
			return fmt.Errorf("connect to %s: %w", addr, err)
		}
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, c.fd, &event); err != nil {
			return fmt.Errorf("watch a connection: %w", err)
		}
		l.free = append(l.free, i)
	}
	return nil
}

func (c *conn) dial(addr netip.AddrPort) (err error) {
	if c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if err := unix.Connect(c.fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return err
	}
	// A request is written in one piece, so its buffer must have room for it.
	if err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4*len(c.wire)+64<<10); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	return unix.SetNonblock(c.fd, true)
}

func (l *loop) close() (err error) {
	for i := range l.conns {
		if l.conns[i].fd > 0 {
			err = errors.Join(err, unix.Close(l.conns[i].fd))
		}
	}
	return errors.Join(err, unix.Close(l.epoll))
}

func (l *loop) now() time.Duration { return time.Since(l.began) }

// run goes on until the measured time is over and what had arrived by then is answered.
func (l *loop) run() error {
	events := make([]unix.EpollEvent, max(l.Connections, 16))
	end := l.Warm + l.Measure
	for {
		now := l.now()
		l.mark(now)
		if now >= end && (l.answered() || now >= end+drain) {
			l.give(now)
			return nil
		}
		if err := l.feed(now, end); err != nil {
			return err
		}
		n, err := l.wait(events, end)
		if err != nil {
			return err
		}
		for i := range n {
			if err := l.receive(int(events[i].Fd)); err != nil {
				return err
			}
		}
		if now = l.now(); n > 0 || len(l.free) == l.Connections {
			l.heard = now
		} else if now-l.heard > silence {
			return fmt.Errorf("%s has answered nothing for %s", l.Addr, silence)
		}
		if err := l.ctx.Err(); err != nil {
			return err
		}
	}
}

// mark tells of the beginning and the end of the measured time.
func (l *loop) mark(now time.Duration) {
	if l.marked == 0 && now >= l.Warm || l.marked == 1 && now >= l.Warm+l.Measure {
		if l.marked++; l.Mark != nil {
			l.Mark()
		}
		l.result.Elapsed = now - l.result.Elapsed
	}
}

func (l *loop) measuring() bool { return l.marked == 1 }

// feed sends what is to be sent now.
func (l *loop) feed(now, end time.Duration) error {
	if l.arrivals == nil {
		for len(l.free) > 0 && now < end {
			if err := l.send(now, l.measuring()); err != nil {
				return err
			}
		}
		return nil
	}
	unhindered := l.waiting.len() == 0 && len(l.free) > 0
	for l.arrivals.next <= now && l.arrivals.next < end {
		l.waiting.add(l.arrivals.take())
	}
	for len(l.free) > 0 && l.waiting.len() > 0 {
		since := l.waiting.take()
		if unhindered && since >= l.Warm {
			l.result.Late.Add(l.now() - since)
		}
		if err := l.send(since, since >= l.Warm); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) send(since time.Duration, measured bool) error {
	last := len(l.free) - 1
	c := &l.conns[l.free[last]]
	l.free = l.free[:last]
	return l.sendOn(c, since, measured)
}

func (l *loop) sendOn(c *conn, since time.Duration, measured bool) error {
	l.Request.fill(c.wire, func() []byte { return l.Keys.At(int(l.random.Uint64N(uint64(l.Keys.Len())))) })
	c.since, c.measured, c.busy = since, measured, true
	n, err := unix.Write(c.fd, c.wire)
	if err != nil || n < len(c.wire) {
		return fmt.Errorf("send to %s: %d of %d bytes: %w", l.Addr, n, len(c.wire), err)
	}
	return nil
}

// wait waits for answers, or until it is time for the next request.
func (l *loop) wait(events []unix.EpollEvent, end time.Duration) (int, error) {
	patience := tick
	if l.arrivals != nil && len(l.free) > 0 && l.arrivals.next < end {
		patience = min(patience, l.arrivals.next-l.now())
	}
	timeout := unix.NsecToTimespec(int64(max(0, patience)))
	for {
		n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])),
			uintptr(len(events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
		switch {
		case errno == 0:
			return int(n), nil
		case errno == unix.ENOSYS:
			return 0, errors.New("waiting for answers needs Linux 5.11 or newer")
		case errno != unix.EINTR:
			return 0, fmt.Errorf("wait for answers: %w", errno)
		}
	}
}

// receive reads what has come on a connection. A whole answer frees it, or has the next request sent at once.
func (l *loop) receive(i int) error {
	c := &l.conns[i]
	n, err := unix.Read(c.fd, c.in[c.received:])
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil
	case err != nil:
		return fmt.Errorf("receive from %s: %w", l.Addr, err)
	case n == 0:
		return fmt.Errorf("%s closed a connection", l.Addr)
	}
	c.received += n
	answer, whole, err := parse(c.in[:c.received])
	switch {
	case err != nil:
		return fmt.Errorf("receive from %s: %w", l.Addr, err)
	case !whole:
		if c.received == len(c.in) {
			c.in = append(c.in, make([]byte, len(c.in))...)
		}
		return nil
	case answer.size < c.received || !c.busy:
		return fmt.Errorf("%s answers more than it was asked", l.Addr)
	}
	l.judge(answer.status, c.in[:answer.size])
	now := l.now()
	if l.measuring() && now < l.Warm+l.Measure {
		l.result.Answers++
	}
	if c.measured {
		l.result.Latencies.Add(now - c.since)
	}
	c.received, c.busy = 0, false
	if l.arrivals == nil && now < l.Warm+l.Measure {
		return l.sendOn(c, now, l.measuring())
	}
	l.free = append(l.free, i)
	return nil
}

// judge counts an answer that is not as it should be.
func (l *loop) judge(status int, answer []byte) {
	if status == l.Status && bytes.Contains(answer, l.Want) && (len(l.Never) == 0 || !bytes.Contains(answer, l.Never)) {
		return
	}
	if l.result.Others++; l.result.Others == 1 {
		l.result.Other = string(answer)
	}
}

// answered tells whether nothing that has arrived is without an answer.
func (l *loop) answered() bool { return l.waiting.len() == 0 && len(l.free) == l.Connections }

// give counts what is not answered, where that is measured: leaving it out would make a slow server look quick.
func (l *loop) give(now time.Duration) {
	if l.arrivals == nil {
		return
	}
	for i := range l.conns {
		if c := &l.conns[i]; c.busy && c.measured {
			l.result.Latencies.Add(now - c.since)
			l.result.Unanswered++
		}
	}
	for l.waiting.len() > 0 {
		if since := l.waiting.take(); since >= l.Warm {
			l.result.Latencies.Add(now - since)
			l.result.Unanswered++
		}
	}
}
