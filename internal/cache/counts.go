package cache

import (
	"sync/atomic"
	"time"
)

// counts of one cache, beside those of its tables.
type counts struct {
	misses, stale atomic.Int64
	redis, loads  loadCounts
}

type loadCounts struct{ found, unknown, failed atomic.Int64 }

// count notes how a load ended.
func (c *loadCounts) count(found bool, err error) {
	switch {
	case err != nil:
		c.failed.Add(1)
	case found:
		c.found.Add(1)
	default:
		c.unknown.Add(1)
	}
}

func (c *loadCounts) loads() Loads {
	return Loads{Found: c.found.Load(), Unknown: c.unknown.Load(), Failed: c.failed.Load()}
}

// Loads counts attempts to bring in what was not in memory.
type Loads struct{ Found, Unknown, Failed int64 }

// Stats tells of a cache what it holds, and what it did since it was made.
type Stats struct {
	Entries, Unknown      int   // in memory: values, and hashes known to have none
	Hits, UnknownHits     int64 // answers from these
	Misses                int64 // lookups that had to wait for a load
	Stale                 int64 // of the hits, those that could not be refreshed in time
	FromRedis, FromSource Loads
}

func (c *versioned[V]) stats() (s Stats) {
	s.Entries, s.Hits = c.known.count()
	s.Unknown, s.UnknownHits = c.unknown.count()
	s.Misses, s.Stale = c.counts.misses.Load(), c.counts.stale.Load()
	s.FromRedis, s.FromSource = c.counts.redis.loads(), c.counts.loads.loads()
	return s
}

// Stats tells of the snapshots.
func (k *Keys) Stats() Stats { return k.snapshots.stats() }

// HeardAge is how long ago, as of now, the feed last had a sign that it hears of
// changes, by a poll or by the channel; since it was made where it never had.
func (f *Feed) HeardAge(now time.Time) time.Duration {
	heard := max(f.lastPoll(), time.Duration(f.heard.Load()), 0)
	return max(f.since(now)-heard, 0)
}
