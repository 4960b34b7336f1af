package cache

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// A flight is one read, however many wait for it.
type flight[V any] struct {
	done  chan struct{}
	entry *entry[V] // once done, unless err is set
	err   error
}

// join returns the read of a hash that is under way, or starts one and says so.
// The read outlives its callers: it belongs to the cache, which awaits it. With
// doubted, it is to replace a value that may have changed.
func (c *versioned[V]) join(ctx context.Context, hash apikey.Hash, doubted *entry[V]) (f *flight[V], started bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[hash]; f != nil {
		return f, false
	}
	f = &flight[V]{done: make(chan struct{})}
	if c.closing.Err() != nil {
		f.err = errClosed
		close(f.done)
		return f, true
	}
	c.flights[hash] = f
	c.reads.Go(func() { c.fly(context.WithoutCancel(ctx), hash, f, doubted) })
	return f, true
}

func (c *versioned[V]) fly(ctx context.Context, hash apikey.Hash, f *flight[V], doubted *entry[V]) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	defer context.AfterFunc(c.closing, cancel)()

	var fromDatabase bool
	select {
	case c.slots <- struct{}{}:
		f.entry, fromDatabase, f.err = c.read(ctx, hash, doubted)
		<-c.slots
	case <-ctx.Done():
		f.err = unavailable(ctx, ctx.Err())
	}
	c.mu.Lock()
	delete(c.flights, hash)
	c.mu.Unlock()
	close(f.done)

	if fromDatabase {
		c.share(ctx, f.entry)
	}
}

// read brings an entry from Redis or from the database, and stores it in memory.
func (c *versioned[V]) read(ctx context.Context, hash apikey.Hash, doubted *entry[V]) (e *entry[V], fromDatabase bool, err error) {
	began := c.feed.clock()
	anchor := c.feed.tags.anchor(c.kind.anchor(hash))
	defer c.feed.tags.release(anchor)

	if doubted != nil {
		// Redis may know of a change while the database cannot be asked, and if
		// it cannot be asked either the value is served as it is.
		_ = c.feed.learn(ctx, doubted.made)
	} else if e := c.shared(ctx, hash, anchor, began); e != nil {
		c.keep(e)
		return e, false, nil
	}

	e = &entry[V]{hash: hash, read: began, tags: c.feed.tags}
	e.value, err = c.kind.load(ctx, hash)
	if err == nil {
		err = ctx.Err() // so late that what has changed meanwhile may be forgotten
	}
	if errors.Is(err, apierror.CodeNotFound) {
		e.missing, err = err, nil
	}
	c.counts.loads.count(e.missing == nil, err)
	if err != nil {
		return nil, false, unavailable(ctx, err)
	}
	if err := c.bind(e, anchor); err != nil {
		return nil, false, err
	}
	c.keep(e)
	return e, true, nil
}

// bind ties an entry to what it was made from, or to the anchor where its rows
// cannot tell: there are none, or too many to name.
func (c *versioned[V]) bind(e *entry[V], anchor link) error {
	e.tried.Store(int64(e.read))
	e.round.Store(-1)
	if e.missing != nil || c.kind.made == nil {
		e.basis = c.feed.tags.share(anchor)
		return nil //nolint:nilerr // that there is nothing is a result, and is kept like one
	}
	e.made = c.kind.made(e.value)
	if len(e.made) == 0 {
		return errors.New("a cached value that depends on nothing could never be invalidated")
	}
	e.basis = c.feed.tags.bind(e.made)
	return nil
}

// keep stores an entry in memory, unless it became stale on its way.
func (c *versioned[V]) keep(e *entry[V]) {
	if !e.current() {
		c.feed.tags.release(e.basis...)
		return
	}
	into := c.known
	if e.missing != nil {
		if gone := c.known.remove(&e.hash); gone != nil {
			c.feed.tags.release(gone.basis...)
		}
		into = c.unknown
	}
	if displaced := into.put(e); displaced != nil {
		c.feed.tags.release(displaced.basis...)
	}
}

// shared gives the entry that Redis holds of a hash, or nil where it holds none
// that may be used.
func (c *versioned[V]) shared(ctx context.Context, hash apikey.Hash, anchor link, at time.Duration) *entry[V] {
	if c.kind.decode == nil || !c.feed.sharing(at) {
		return nil
	}
	e, err := c.fetch(ctx, hash, at)
	c.counts.redis.count(e != nil, err)
	if err == nil && e != nil {
		err = c.bind(e, anchor)
	}
	if err != nil {
		// Also where another version of this program wrote it.
		c.feed.log.Debug("a value in Redis cannot be used", zap.Error(err), logging.In(ctx))
		return nil
	}
	if e != nil && !e.current() {
		c.feed.tags.release(e.basis...)
		return nil
	}
	return e
}

func (c *versioned[V]) fetch(ctx context.Context, hash apikey.Hash, at time.Duration) (*entry[V], error) {
	data, age, err := c.feed.remote.fetch(ctx, hash)
	if err != nil || data == nil || age >= c.options.TTL {
		return nil, err
	}
	value, err := c.kind.decode(data)
	if err != nil {
		return nil, err
	}
	return &entry[V]{hash: hash, value: value, read: at - age, tags: c.feed.tags}, c.feed.learn(ctx, c.kind.made(value))
}

// share leaves an entry in Redis for the other processes.
func (c *versioned[V]) share(ctx context.Context, e *entry[V]) {
	if c.kind.encode == nil || e.missing != nil || !e.current() || !c.feed.sharing(c.feed.clock()) {
		return
	}
	data, err := c.kind.encode(e.value)
	if err == nil {
		err = c.feed.remote.store(ctx, e.hash, e.made[0].Version, data)
	}
	if err != nil {
		c.feed.log.Debug("a value is not shared through Redis", zap.Error(err), logging.In(ctx))
	}
}
