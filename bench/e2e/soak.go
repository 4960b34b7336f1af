package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/viva/rate-limiter/bench/e2e/load"
	"github.com/viva/rate-limiter/bench/e2e/servers"
	bench "github.com/viva/rate-limiter/bench/report"
)

const (
	soakSample  = 10 * time.Second
	soakClients = 64
)

// A gauge is something that must not grow for ever.
type gauge struct {
	name   string
	metric string
	shown  func(float64) string
	proc   func(*servers.Process) (float64, error) // asked where there is no such metric; may be nil
	slack  float64                                 // how much it may change whatever it is
}

func megabytes(v float64) string { return bench.Number(v/(1<<20)) + " MiB" }

var gauges = []gauge{
	{"resident memory", "process_resident_memory_bytes", megabytes, (*servers.Process).Resident, 8 << 20},
	{"heap in use", "go_memstats_heap_inuse_bytes", megabytes, nil, 8 << 20},
	{"goroutines", "go_goroutines", bench.Number, nil, 10},
	{"open files", "process_open_fds", bench.Number, (*servers.Process).Files, 10},
	{"journal", "viva_journal_bytes", megabytes, nil, 64 << 20},
	{"ingest lag, records", "viva_ingest_lag_records", bench.Number, nil, 50_000},
}

// A soaking is what was seen while the service was kept busy.
type soaking struct {
	lasted time.Duration
	rate   float64
	others uint64 // answers that were not as they should be
	at     []time.Duration
	seen   [][]float64 // of each gauge, at each time; NaN where it is not told
}

// soak keeps the embedded service as busy as it can be.
func (b *run) soak(ctx context.Context) (*soaking, error) {
	var c *contender
	for _, each := range b.contenders {
		if each.name == embedded {
			c = each
		}
	}
	if _, err := b.rest(ctx, c.server); err != nil {
		return nil, err
	}
	s := &soaking{lasted: b.soakFor, seen: make([][]float64, len(gauges))}
	span := &load.Run{
		Addr: c.server.Addr, Request: c.request, Keys: c.keys, Status: c.status, Want: []byte(c.want), Never: []byte(degraded),
		Connections: soakClients, Measure: b.soakFor, Seed: 1,
	}
	type outcome struct {
		result *load.Result
		err    error
	}
	done := make(chan outcome, 1)
	go func() { // ends with the run, which is awaited
		result, err := span.Do(ctx)
		done <- outcome{result, err}
	}()
	tick := time.NewTicker(soakSample)
	defer tick.Stop()
	for began := time.Now(); ; {
		select {
		case o := <-done:
			if o.err == nil {
				s.rate, s.others = o.result.PerSecond(), o.result.Others
			}
			return s, o.err
		case <-tick.C:
		}
		if err := s.look(ctx, c.server, time.Since(began)); err != nil {
			b.log("soak: not all is told: %s", err)
		}
		b.log("soak: %s of %s: %s", time.Since(began).Round(time.Second), b.soakFor, s.last())
	}
}

// look asks for all gauges.
func (s *soaking) look(ctx context.Context, p *servers.Process, at time.Duration) error {
	told, err := metrics(ctx, p.Addr)
	s.at = append(s.at, at)
	for i, g := range gauges {
		value, ok := told[g.metric]
		switch {
		case ok:
		case g.proc != nil:
			var failed error
			if value, failed = g.proc(p); failed != nil {
				return failed
			}
		default:
			value = math.NaN()
		}
		s.seen[i] = append(s.seen[i], value)
	}
	return err
}

func (s *soaking) last() string {
	var words []string
	for i, g := range gauges {
		words = append(words, g.name+" "+g.shown(s.seen[i][len(s.at)-1]))
	}
	return strings.Join(words, ", ")
}

// metrics asks for those without labels, and of those with labels for the sum.
func metrics(ctx context.Context, addr string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask for metrics: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask for metrics: %s", answer.Status)
	}
	return parseMetrics(answer.Body)
}

func parseMetrics(text io.Reader) (map[string]float64, error) {
	told := map[string]float64{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] == "#" {
			continue
		}
		name, _, _ := strings.Cut(fields[0], "{")
		if value, err := strconv.ParseFloat(fields[len(fields)-1], 64); err == nil {
			told[name] += value
		}
	}
	return told, lines.Err()
}

// trend is by how much values change over the whole of their times, by the straight line that fits them best.
func trend(at []time.Duration, values []float64) float64 {
	n := float64(len(at))
	var x, y, xx, xy float64
	for i, t := range at {
		s := t.Seconds()
		x, y, xx, xy = x+s, y+values[i], xx+s*s, xy+s*values[i]
	}
	slope := (n*xy - x*y) / (n*xx - x*x)
	return slope * (at[len(at)-1] - at[0]).Seconds()
}

// flat judges the second half, when what has to fill is full: no growth by more than a twentieth, or than the slack.
func (g *gauge) flat(change, mean float64) bool { return change <= max(g.slack, mean/20) }

// text tells of each gauge when it began, in the middle and at the end.
func (s *soaking) text() string {
	t := bench.Table{Head: []string{"", "first", "middle", "last", "most", "trend of the second half", ""}}
	for i, g := range gauges {
		values := s.seen[i]
		half := len(values) / 2
		most, mean := math.Inf(-1), 0.0
		for j, v := range values {
			most = max(most, v)
			if j >= half {
				mean += v / float64(len(values)-half)
			}
		}
		change := trend(s.at[half:], values[half:])
		verdict := "flat"
		switch {
		case math.IsNaN(change):
			verdict = "not told"
		case !g.flat(change, mean):
			verdict = "**grows**"
		}
		t.Add(g.name, g.shown(values[0]), g.shown(values[half]), g.shown(values[len(values)-1]), g.shown(most), g.shown(change), verdict)
	}
	return fmt.Sprintf("%s at full load: %s checks a second, %d answers not as they should be; looked at every %s.\n\n%s",
		s.lasted, bench.Number(s.rate), s.others, soakSample, t.String())
}
