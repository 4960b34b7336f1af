package redisstore

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A lane lets concurrent calls share round trips. The first ones fly alone, at
// once, so that a lone caller waits for nobody. Those that come while maxFlights
// are in the air wait for one to land, and fly together: the busier, the fewer
// round trips. No goroutine is started: each flight is led by a caller in it.
type lane struct {
	client redis.UniversalClient
	now    func() string         // what takes are told the instant is
	reload func(context.Context) // has the client of a cluster find out where servers are

	mu      sync.Mutex
	flights int
	waiting []*passenger
}

const (
	maxFlights = 2   // at a time: one is answered by the server while the next is made ready here
	maxAboard  = 128 // calls of a flight
	maxTakes   = 64  // takes of one script call, which nothing else at the server interrupts
)

// A passenger is a call that waits for a flight.
type passenger struct {
	ctx    context.Context
	call   *call
	aboard []*passenger  // for the one that leads a flight, all that are on it
	called bool          // no longer among those waiting
	turn   chan struct{} // to lead, or with its call answered
}

// process makes a call, at most once.
func (l *lane) process(ctx context.Context, c *call) error {
	l.mu.Lock()
	if l.flights < maxFlights {
		l.flights++
		l.mu.Unlock()
		defer l.land()
		l.fly(ctx, []*call{c})
		return c.err
	}
	p := &passenger{ctx: ctx, call: c, turn: make(chan struct{}, 1)}
	l.waiting = append(l.waiting, p)
	l.mu.Unlock()

	select {
	case <-p.turn:
	case <-ctx.Done():
		if l.giveUp(p) {
			return ctx.Err()
		}
		<-p.turn // to lead the others, who may have more time
	}
	if p.aboard != nil {
		l.lead(p)
	}
	return c.err
}

// giveUp takes p out of those waiting. It reports false if p is to lead. If p
// flies with another it leaves its call behind, which may be executed.
func (l *lane) giveUp(p *passenger) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !p.called {
		l.waiting = slices.DeleteFunc(l.waiting, func(other *passenger) bool { return other == p })
	}
	return p.aboard == nil
}

// land ends a flight and calls the next, if anybody waits.
func (l *lane) land() {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.waiting), maxAboard)
	if n == 0 {
		l.flights--
		return
	}
	aboard := slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	leader := aboard[0]
	for _, p := range aboard {
		p.called = true
		if later(p.ctx, leader.ctx) {
			leader = p
		}
	}
	leader.aboard = aboard
	leader.turn <- struct{}{}
}

// later tells whether a may take longer than b. Who has most time leads, so
// that it need not stay longer than it wants, and the others have all of theirs.
func later(a, b context.Context) bool {
	end, bounded := b.Deadline()
	if !bounded {
		return false
	}
	own, ends := a.Deadline()
	return !ends || own.After(end)
}

// lead flies with all that are aboard with p.
func (l *lane) lead(p *passenger) {
	defer l.land()
	calls := make([]*call, len(p.aboard))
	for i, other := range p.aboard {
		calls[i] = other.call
	}
	ctx, cancel := outlast(p.ctx)
	defer cancel()
	l.fly(ctx, calls)
	for _, other := range p.aboard {
		if other != p {
			other.turn <- struct{}{}
		}
	}
}

// fly makes all the calls in one round trip, and a second one if the server has
// lost a script.
func (l *lane) fly(ctx context.Context, calls []*call) {
	all := commands(ctx, calls, l.now())
	l.send(ctx, all)
	var again []*command
	for _, command := range all {
		if command.takes != nil && lost(command.cmd.Err()) {
			command.script.load(command.args)
			command.make(ctx)
			again = append(again, command)
		}
	}
	l.send(ctx, again)
	for _, command := range all {
		command.answer()
		if unreachable(command.cmd.Err()) {
			l.reload(ctx)
		}
	}
}

// send executes the commands. Each has its own error.
func (l *lane) send(ctx context.Context, all []*command) {
	switch len(all) {
	case 0:
	case 1:
		_ = l.client.Process(ctx, all[0].cmd)
	default:
		pipe := l.client.Pipeline()
		for _, command := range all {
			_ = pipe.Process(ctx, command.cmd) // queues it
		}
		_, _ = pipe.Exec(ctx)
	}
}

// outlast returns a context with the values and the deadline of ctx, that does
// not end before: the leader going away must not take from the others what they
// asked for.
func outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	stays := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(stays, deadline)
	}
	return stays, func() {}
}
