// Package limiters puts our limiter and its peers behind one door, each used as its documentation says and with its
// default clock. What is done to a key is the same: one unit is taken from a limit of so many in a window, and a
// limiter whose limit is a rate with a burst gets the limit as its burst.
package limiters

import (
	"time"

	"github.com/viva/rate-limiter/bench/workload"
)

// Ours is the name of our limiter with one rule, which all others are compared with.
const Ours = "viva"

// OursCoarse is the same with a clock that is read for nothing and moves every millisecond.
const OursCoarse = "viva, coarse clock"

// Floor is the name of what admits everything and does nothing: the cost of measuring.
const Floor = "nothing"

// A Config says what a store is for.
type Config struct {
	Limit  int64
	Window time.Duration
	Keys   int // the most it will hold

	// Sweep is how often idle keys are looked for, where that can be set. Zero leaves it as it comes.
	Sweep time.Duration
	// Clock replaces the clock of ours, for what cannot be waited for. Nil leaves it as it comes.
	Clock func() time.Time
}

// A Store holds the limits of many keys.
type Store interface {
	Taker() workload.Taker
	Close() error
}

// Memory is a limiter within the process.
type Memory struct {
	Name   string
	Module string // empty for ours
	Sweeps bool   // drops keys that no longer count, or has none
	New    func(Config) (Store, error)
}

// InMemory lists the limiters within the process, ours first.
var InMemory = []Memory{
	{Ours, "", true, newViva(1)},
	{OursCoarse, "", true, newCoarse},
	{"viva, 3 rules", "", true, newViva(3)},
	{"sethvargo", "github.com/sethvargo/go-limiter", true, newSethvargo},
	{"ulule", "github.com/ulule/limiter/v3", true, newUlule},
	{"throttled", "github.com/throttled/throttled/v2", false, newThrottled},
	{"x/time/rate", "golang.org/x/time", false, newXTimeRate},
	{Floor, "", true, newFloor},
}

// floor is no limiter.
type floor struct{}

func newFloor(Config) (Store, error)               { return floor{}, nil }
func (floor) Taker() workload.Taker                { return floor{} }
func (floor) Close() error                         { return nil }
func (floor) Take(string) (admitted bool, _ error) { return true, nil }

// Steady is the configuration for measuring with so many keys that stay: a limit that is never reached, or one that
// the first call of a key exhausts. No window ends while it is measured.
func Steady(keys int, deny bool) Config {
	c := Config{Limit: 1_000_000_000, Window: time.Hour, Keys: keys}
	if deny {
		c.Limit = 1
	}
	return c
}
