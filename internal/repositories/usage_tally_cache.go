package repositories

import (
	"sync"

	"github.com/viva/rate-limiter/internal/models"
)

// tallyCacheBytes bounds either generation of tallies held in memory. One of a
// hundred thousand keys has 4 MB, and a list is made of about five.
const tallyCacheBytes = 48 << 20

// tallyName names what a tally was at a time: with other changes it is another.
type tallyName struct {
	meter        string
	by           models.UsageGroup
	since, until int64
	changes      int64
}

// tallyCache remembers tallies that were read lately: moving them takes longer
// than adding them up. Nil remembers none.
type tallyCache struct {
	mu         sync.Mutex
	young, old map[tallyName]*tally // old is what was read before young was begun
	bytes      int                  // of the young
}

func (c *tallyCache) get(name tallyName) *tally {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.young[name]; t != nil {
		return t
	}
	t := c.old[name]
	if t != nil {
		c.add(name, t)
	}
	return t
}

func (c *tallyCache) put(name tallyName, t *tally) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(name, t)
}

func (c *tallyCache) add(name tallyName, t *tally) {
	if c.young == nil || c.bytes+t.bytes > tallyCacheBytes {
		c.young, c.old, c.bytes = map[tallyName]*tally{}, c.young, 0
	}
	if c.young[name] == nil {
		c.bytes += t.bytes
	}
	c.young[name] = t
}
