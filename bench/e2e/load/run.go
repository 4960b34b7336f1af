package load

import (
	"math/rand/v2"
	"time"

	"github.com/viva/rate-limiter/bench/workload"
)

// A Run is one span of load on a server. Keys are used equally often, at random.
type Run struct {
	Addr    string // host:port, in numbers
	Request *Template
	Keys    *Keys
	// Answers are to have this status, Want in them, and Never not, unless that is empty. Others are counted apart.
	Status      int
	Want, Never []byte
	Connections int
	// Rate is how many requests arrive in a second, independently of each other and of the answers: a Poisson
	// process. They are sent at once where a connection is free. Zero sends one on each connection as soon as the
	// one before is answered.
	Rate    float64
	Warm    time.Duration // of the same load before it is measured
	Measure time.Duration
	Seed    uint64
	Mark    func() // is called when the measured time begins, and again when it ends
}

// A Result is what was measured.
type Result struct {
	Answers uint64 // that came within the measured time
	Elapsed time.Duration
	// Latencies are from the time a request was to be sent, at a rate, or else was sent, to its answer. At a rate,
	// it is those of the requests that arrived in the measured time, whenever they were answered.
	Latencies workload.Latencies
	// Late is by how much requests were sent after they arrived although a connection was free: what of the latencies
	// is the generator's own doing.
	Late workload.Latencies
	// Unanswered requests arrived in the measured time and were not answered soon after its end. Their latencies up to
	// then are counted.
	Unanswered uint64
	// Others are answers that are not as they should be, of all time; Other is the first of them.
	Others uint64
	Other  string
}

// PerSecond is the rate of answers.
func (r *Result) PerSecond() float64 { return float64(r.Answers) / r.Elapsed.Seconds() }

// arrivals are the times at which requests are to be sent, whatever happens to those before.
type arrivals struct {
	source *rand.Rand
	mean   float64 // ns between two
	next   time.Duration
}

func newArrivals(rate float64, source *rand.Rand) *arrivals {
	a := &arrivals{source: source, mean: 1e9 / rate}
	a.take()
	return a
}

// take returns the time of the next arrival and moves on to the one after it.
func (a *arrivals) take() time.Duration {
	at := a.next
	a.next += time.Duration(a.source.ExpFloat64() * a.mean)
	return at
}

// backlog holds the times of requests that have arrived and were not sent, first in first out.
type backlog struct {
	times []time.Duration
	first int
}

func (b *backlog) add(at time.Duration) { b.times = append(b.times, at) }

func (b *backlog) len() int { return len(b.times) - b.first }

func (b *backlog) take() time.Duration {
	at := b.times[b.first]
	if b.first++; b.first == len(b.times) {
		b.times, b.first = b.times[:0], 0
	}
	return at
}
