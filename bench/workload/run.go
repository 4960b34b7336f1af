package workload

import (
	"runtime"
	"sync"
	"time"
)

// A Taker takes one unit from the limit of a key, for one goroutine.
type Taker interface {
	Take(key string) (admitted bool, err error)
}

// Tally counts what Takes came to.
type Tally struct {
	Takes, Admitted, Failed int
	Elapsed                 time.Duration
	Mallocs                 uint64 // heap objects allocated by the whole process meanwhile
	Err                     error  // the first of those that failed
}

// NsPerTake is the time per Take of all goroutines together: halved by a second one if nothing is in its way.
func (t *Tally) NsPerTake() float64 { return float64(t.Elapsed) / float64(t.Takes) }

func (t *Tally) count(admitted bool, err error) {
	t.Takes++
	if admitted {
		t.Admitted++
	}
	if err != nil {
		t.fail(err)
	}
}

func (t *Tally) fail(err error) {
	t.Failed++
	if t.Err == nil {
		t.Err = err
	}
}

func (t *Tally) add(other *Tally) {
	t.Takes += other.Takes
	t.Admitted += other.Admitted
	t.Failed += other.Failed
	if t.Err == nil {
		t.Err = other.Err
	}
}

// Parallel lets each taker go through its own accesses at the same time as the others. It goes through the first
// eighth untimed, because other processes had the caches before.
func Parallel(takers []Taker, accesses [][]string) Tally {
	tallies := make([]Tally, len(takers))
	start := make(chan struct{})
	var ready, done sync.WaitGroup
	for i, taker := range takers {
		ready.Add(1)
		done.Go(func() {
			warm := len(accesses[i]) / 8
			each(taker, accesses[i][:warm])
			ready.Done()
			<-start
			tallies[i] = each(taker, accesses[i][warm:])
		})
	}
	ready.Wait()
	before := Mallocs()
	began := time.Now()
	close(start)
	done.Wait()
	total := Tally{Elapsed: time.Since(began)}
	total.Mallocs = Mallocs() - before
	for i := range tallies {
		total.add(&tallies[i])
	}
	return total
}

func each(taker Taker, keys []string) (t Tally) {
	for _, key := range keys {
		t.count(taker.Take(key))
	}
	return t
}

// Mallocs returns how many heap objects this process has allocated so far.
func Mallocs() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Mallocs
}
