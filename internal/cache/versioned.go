package cache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

const (
	// checkEvery is how long a value is believed without a sign from the feed,
	// and how often a value that is no longer believed is read again.
	checkEvery = time.Second
	// checkWait is how long a caller waits for that before it gets the value
	// as it is.
	checkWait = 50 * time.Millisecond
	// readTimeout bounds a read, also after all who waited for it have left.
	readTimeout = 5 * time.Second
	// maxReads bounds the reads at work at once, so that a database that hangs
	// gathers no more of them.
	maxReads = 64
)

// Options bound a cache.
type Options struct {
	MaxEntries         int           // values held in memory, at most
	TTL                time.Duration // how long before a value is read again
	MaxStale           time.Duration // how long a value is served while it cannot be read again
	NegativeMaxEntries int           // hashes remembered as unknown, at most
	NegativeTTL        time.Duration // how long such a hash is remembered
}

// A kind is what a cache needs to know of its values.
type kind[V any] struct {
	// load reads the primary database. It names its errors as apierror does:
	// CodeNotFound is remembered, all others are failures of the read.
	load func(ctx context.Context, hash apikey.Hash) (V, error)
	// anchor is invalidated when a value comes into being under a hash.
	anchor func(hash apikey.Hash) models.Subject
	// made tells what a value was made from, its own row first; nil where the
	// anchor stands for all of it.
	made func(V) []models.Dependency
	// encode and decode carry values through Redis; nil keeps them in memory.
	encode func(V) ([]byte, error)
	decode func([]byte) (V, error)
}

// versioned caches values by hash. It is safe for concurrent use.
type versioned[V any] struct {
	kind    kind[V]
	options Options
	feed    *Feed
	known   *table[V]
	unknown *table[V] // apart, so that guesses displace no key

	closing context.Context
	close   context.CancelFunc
	reads   sync.WaitGroup
	slots   chan struct{}

	counts counts

	mu      sync.Mutex
	flights map[apikey.Hash]*flight[V]
}

func newVersioned[V any](feed *Feed, options Options, kind kind[V]) *versioned[V] {
	c := &versioned[V]{
		kind: kind, options: options, feed: feed,
		known: newTable[V](options.MaxEntries), unknown: newTable[V](options.NegativeMaxEntries),
		slots: make(chan struct{}, maxReads), flights: make(map[apikey.Hash]*flight[V]),
	}
	c.closing, c.close = context.WithCancel(context.Background())
	return c
}

// get returns the value of a hash as of now: from memory, without waiting or
// allocating, where that is fresh.
func (c *versioned[V]) get(ctx context.Context, hash apikey.Hash, now time.Time) (V, error) {
	at := c.feed.since(now)
	if e := c.known.find(&hash); e != nil && e.current() {
		if c.fresh(e, at) {
			c.known.shard(&hash).hits.Add(1)
			return e.value, nil
		}
		if at-c.proven(e) < c.options.MaxStale {
			c.known.shard(&hash).hits.Add(1)
			return c.check(ctx, e, at)
		}
	} else if e := c.unknown.find(&hash); e != nil && e.current() && at-e.read < c.options.NegativeTTL {
		c.unknown.shard(&hash).hits.Add(1)
		return e.value, e.missing
	}
	c.counts.misses.Add(1)
	return c.miss(ctx, hash)
}

// fresh tells whether a value that is not known to be stale may be served
// without more ado.
func (c *versioned[V]) fresh(e *entry[V], at time.Duration) bool {
	age := at - e.read
	return age < c.options.TTL && (age < checkEvery || c.feed.healthy(at))
}

// proven is when a value was last known to be what the database holds. A poll
// that brings no invalidation proves it anew, but not beyond its TTL.
func (c *versioned[V]) proven(e *entry[V]) time.Duration {
	return max(e.read, min(c.feed.lastPoll(), e.read+c.options.TTL))
}

// check reads a value again that may have changed unnoticed, once a second
// whoever asks, and settles for what there is.
func (c *versioned[V]) check(ctx context.Context, e *entry[V], at time.Duration) (V, error) {
	tried := e.tried.Load()
	if since := at - time.Duration(tried); since < checkEvery || len(c.slots) == cap(c.slots) || !e.tried.CompareAndSwap(tried, int64(at)) {
		if since > checkWait { // by when a read that goes well has come
			c.counts.stale.Add(1)
		}
		return e.value, nil
	}
	f, _ := c.join(ctx, e.hash, e)
	patience := time.NewTimer(checkWait)
	defer patience.Stop()
	select {
	case <-f.done:
		if f.err == nil {
			return f.entry.value, f.entry.missing
		}
	case <-patience.C:
	case <-ctx.Done():
	}
	if e.current() {
		c.counts.stale.Add(1)
		return e.value, nil
	}
	return c.miss(ctx, e.hash)
}

// miss reads a value that is not in memory, or known to be stale there. A read
// that was under way may bring what had changed before this call; the one
// after it cannot.
func (c *versioned[V]) miss(ctx context.Context, hash apikey.Hash) (none V, err error) {
	for began := false; ; began = true {
		f, started := c.join(ctx, hash, nil)
		select {
		case <-f.done:
		case <-ctx.Done():
			return none, fmt.Errorf("wait for a read: %w", ctx.Err())
		}
		if f.err != nil {
			return none, f.err
		}
		if began || started || f.entry.current() {
			return f.entry.value, f.entry.missing
		}
	}
}

// stop ends the reads under way and awaits them.
func (c *versioned[V]) stop() {
	c.mu.Lock()
	c.close()
	c.mu.Unlock()
	c.reads.Wait()
}

var errClosed = apierror.New(apierror.CodeUnavailable, "The service is shutting down.")

// unavailable gives the end of a read's time its name in the API. The loader has
// named other failures itself.
func unavailable(ctx context.Context, err error) error {
	if _, named := apierror.As(err); named || ctx.Err() == nil {
		return err
	}
	return apierror.New(apierror.CodeStoreUnavailable, "The database does not answer in time; try again.").Wrap(err)
}
