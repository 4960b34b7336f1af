//go:build journeys

package tests

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// storeTimeout is the default of ratelimit.store_timeout: no check waits longer for Redis.
	storeTimeout = 50 * time.Millisecond
	// noise is what busy processors may add to that between two lines of a program.
	noise = 200 * time.Millisecond
)

// A load asks one node for checks, steadily: so many clients, each a few milliseconds after its last answer.
type load struct {
	t       *testing.T
	node    *client
	secret  string
	done    chan struct{}
	clients sync.WaitGroup

	mu      sync.Mutex
	answers []asked
}

// asked is one check of a load.
type asked struct {
	at       time.Time
	took     time.Duration
	status   int
	decision decision
}

// loading begins a load, which ends with stop or the test.
func loading(t *testing.T, node *client, secret string, clients int) *load {
	l := &load{t: t, node: node, secret: secret, done: make(chan struct{})}
	l.clients.Go(func() { parallel(clients, func(int) { l.ask() }) })
	t.Cleanup(l.stop)
	return l
}

func (l *load) ask() {
	pace := time.NewTicker(3 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-pace.C:
		}
		a := asked{at: time.Now()}
		d, got, err := l.node.ask(object{"api_key": l.secret})
		if err != nil {
			l.t.Errorf("check: %v", err)
			return
		}
		a.took, a.status, a.decision = time.Since(a.at), got.status, d
		l.mu.Lock()
		l.answers = append(l.answers, a)
		l.mu.Unlock()
	}
}

func (l *load) stop() {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	l.clients.Wait()
}

// more waits for so many answers more.
func (l *load) more(answers int) {
	l.t.Helper()
	want := len(l.soFar()) + answers
	eventually(l.t, patience, func() error { return shortOf(len(l.soFar()), want) })
}

func shortOf(got, want int) error {
	if got < want {
		return fmt.Errorf("%d of %d", got, want)
	}
	return nil
}

// degraded waits until the last answers are all degraded, or all not.
func (l *load) degraded(want bool) {
	l.t.Helper()
	const last = 50
	since := len(l.soFar())
	eventually(l.t, patience, func() error {
		answers := l.soFar()
		if len(answers) < since+last {
			return fmt.Errorf("%d answers", len(answers)-since)
		}
		for _, a := range answers[len(answers)-last:] {
			if a.decision.Degraded != want {
				return fmt.Errorf("degraded is %t", !want)
			}
		}
		return nil
	})
}

func (l *load) soFar() []asked {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[:len(l.answers):len(l.answers)]
}

// between gives the checks asked and answered within a span of time.
func (l *load) between(from, to time.Time) (within []asked) {
	for _, a := range l.soFar() {
		if a.at.After(from) && a.at.Add(a.took).Before(to) {
			within = append(within, a)
		}
	}
	return within
}

// served tells how long the process itself took to answer checks within a span of time, as its log says, the longest
// last. What clients on this machine wait for beside that is not its doing.
func (p *process) served(from, to time.Time) (durations []time.Duration) {
	p.t.Helper()
	for line := range strings.Lines(p.output.String()) {
		var request struct {
			Route, Duration string
			Time            time.Time
		}
		if !strings.Contains(line, `"msg":"request"`) {
			continue
		}
		require.NoError(p.t, json.Unmarshal([]byte(line), &request), line)
		if request.Route != "/api/v1/validate" || request.Time.Before(from) || request.Time.After(to) {
			continue
		}
		took, err := time.ParseDuration(request.Duration)
		require.NoError(p.t, err)
		durations = append(durations, took)
	}
	require.NotEmpty(p.t, durations)
	slices.Sort(durations)
	return durations
}

// waits requires that checks waited for a store once at most: the longest with much room for what else keeps this
// machine busy, and half of those that waited with little.
func waits(t *testing.T, served []time.Duration, bound time.Duration) (longest time.Duration) {
	t.Helper()
	longest = served[len(served)-1]
	require.Less(t, longest, bound+noise)
	first, _ := slices.BinarySearch(served, storeTimeout)
	if waited := served[first:]; len(waited) > 0 {
		require.Less(t, waited[len(waited)/2], bound+bound/2)
	}
	return longest
}
