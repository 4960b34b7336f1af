package workload

import (
	"fmt"
	"time"
)

// chunk is how many keys are prepared at a time, outside of what is timed.
const chunk = 1 << 16

// A Stretch is what a run of Takes, each of another new key, came to.
type Stretch struct {
	Tally
	Each *Latencies // of every single Take, where asked for; reading the clock each time makes the whole slower
}

// Fill takes from n new keys, from the first-th on, each once. A Take that fails or is not admitted is an error: a key
// that is new has its whole limit.
func Fill(taker Taker, first, n int, single bool) (Stretch, error) {
	var s Stretch
	if single {
		s.Each = new(Latencies)
	}
	for n > 0 {
		keys := Keys(first, min(n, chunk))
		s.take(taker, keys)
		first, n = first+len(keys), n-len(keys)
	}
	return s, s.verify()
}

// Churn takes from new keys at a steady pace, for that long.
func Churn(taker Taker, perSecond int, lasting time.Duration) (Stretch, error) {
	s := Stretch{Each: new(Latencies)}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	var ready []string
	for made := 0; ; <-tick.C {
		passed := time.Since(began)
		if passed >= lasting {
			return s, s.verify()
		}
		due := int(passed.Seconds()*float64(perSecond)) - s.Takes
		for due > 0 {
			if len(ready) == 0 {
				ready = Keys(made, chunk)
				made += chunk
			}
			batch := ready[:min(due, len(ready))]
			s.take(taker, batch)
			ready, due = ready[len(batch):], due-len(batch)
		}
	}
}

func (s *Stretch) take(taker Taker, keys []string) {
	began := time.Now()
	if s.Each == nil {
		tally := each(taker, keys)
		s.add(&tally)
	} else {
		s.takeSingly(taker, keys, began)
	}
	s.Elapsed += time.Since(began)
}

// takeSingly reads the clock once for each Take: each lasts from the end of the one before.
func (s *Stretch) takeSingly(taker Taker, keys []string, began time.Time) {
	var last time.Duration
	for _, key := range keys {
		s.count(taker.Take(key))
		now := time.Since(began)
		s.Each.Add(now - last)
		last = now
	}
}

func (s *Stretch) verify() error {
	if s.Admitted != s.Takes {
		return fmt.Errorf("%d of %d new keys were not admitted: %w", s.Takes-s.Admitted, s.Takes, s.Err)
	}
	return nil
}
