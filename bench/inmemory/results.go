package inmemory

import (
	"slices"

	"github.com/viva/rate-limiter/bench/limiters"
	"github.com/viva/rate-limiter/bench/workload"
)

// A Cell is one steady state.
type Cell struct {
	Keys    int
	Deny    bool
	Pattern workload.Pattern
	Cores   int
}

// Outcome names what the calls come to.
func (c Cell) Outcome() string {
	if c.Deny {
		return "denials"
	}
	return "admissions"
}

// Results are what was measured, by the names of the limiters.
type Results struct {
	Plan    Plan
	Steady  map[Cell]map[string]*workload.Series // ns per Take
	Fill    map[int]map[string]*workload.Series  // ns per Take of a new key, by the number of keys
	Memory  map[int]map[string]Footprint
	Mallocs map[string]float64          // the most per Take in any steady state
	Inserts map[string]float64          // mallocs per new key at the greatest size
	Failed  map[string]Failure          // of those that failed at all, where they did most
	Collect map[string]Collected        // at the greatest size
	Growth  map[string]workload.Summary // of single Takes while the store grows to the greatest size
	Churn   map[string]workload.Summary // of single Takes while keys come and lapse
	Lapse   workload.Summary            // of ours, once as many keys as the greatest size have lapsed
}

// Failure tells of calls answered with an error.
type Failure struct {
	Cell
	Share float64
	Error string
}

func inner[K comparable, V any](all map[K]map[string]V, key K) map[string]V {
	if all[key] == nil {
		all[key] = map[string]V{}
	}
	return all[key]
}

func series[K comparable](all map[K]map[string]*workload.Series, key K, name string) *workload.Series {
	byName := inner(all, key)
	if byName[name] == nil {
		byName[name] = new(workload.Series)
	}
	return byName[name]
}

// Peers lists the names of the limiters that are not ours.
func Peers() (names []string) {
	for _, limiter := range limiters.InMemory {
		if limiter.Module != "" {
			names = append(names, limiter.Name)
		}
	}
	return names
}

// Fastest returns the peer with the lowest median in a steady state, and what it measured.
func (r *Results) Fastest(cell Cell) (name string, series *workload.Series) {
	peers := slices.DeleteFunc(Peers(), func(name string) bool { return r.Steady[cell][name] == nil })
	if len(peers) == 0 {
		return "", nil
	}
	name = slices.MinFunc(peers, func(a, b string) int {
		return int(1000 * (r.Steady[cell][a].Median() - r.Steady[cell][b].Median()))
	})
	return name, r.Steady[cell][name]
}
