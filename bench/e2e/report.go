package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/viva/rate-limiter/bench/e2e/servers"
	bench "github.com/viva/rate-limiter/bench/report"
	"github.com/viva/rate-limiter/bench/workload"
)

// report is what a run has to tell.
type report struct {
	took              time.Duration
	circumstances     bench.Table
	names             []string // of all contenders, in order
	chief             []string
	many, eight, lone results // with 64, 8 and 1 connections
	open              map[float64]results
	soak              *soaking
}

const preamble = `# Results over HTTP

The service as its users have it, beside a bare handler and beside its peers, on one machine, measured in turns in one
run: medians of all rounds. How it was measured is said at the end; what the limiter does as a library is in
[RESULTS.md](RESULTS.md).
`

const method = `## How it was measured

- **The work.** One check takes one unit from the limit of one key; each key has an owner of its own, and a sliding
  window of an hour. Admissions are measured against a limit of 10^9, denials against one of 1 that is used up. 10,000
  keys are used equally often, at random, unless said otherwise; denials are those of 1,000. All keys were checked
  once before.
- **The bare handler** is Gin without middleware, which decodes the same check and encodes an answer of the service to
  it by reflection, and does nothing else. It is a process of its own.
- **The service** runs with its default settings, with these exceptions. ` + "`log.level` is `warn`" + `: what a line for each request
  costs is the line "log.level info". Where the number of keys is told, ` + "`cache.max_entries`" + ` has room for them, and
  ` + "`cache.ttl`" + ` is an hour: by default each key in use is read again every five minutes. Embedded is ` + "`viva serve`" + ` with
  SQLite. On Redis it is ` + "`api`" + ` with PostgreSQL, and ` + "`ratelimit.store_timeout`" + ` is long, so that no check is decided
  without Redis. The Cluster has three masters. Redis writes nothing to disk; PostgreSQL and the journal do.
- **The peers** are built from source and have as many keys and a limit of 10^9 an hour. Gubernator is one node alone,
  its cache has room for all keys, and it is asked through its HTTP gateway for a token bucket; it exports no traces.
  Envoy ratelimit is asked through /json, has a Redis of its own and keeps no statistics. "Buffered", it collects what
  it writes to Redis for ` + pipelineWindow + `, as its documentation recommends for throughput; it is judged by the faster of the two.
- **The load** comes from one thread with an epoll loop: HTTP/1.1 over connections that are kept, without pipelining,
  the same for all. Requests are formatted beforehand but for their keys, and each answer is looked at: "wrong" are
  those that are not as they should be, one that Redis did not decide in time among them. It shares the machine with
  the servers; the column "generator" tells its share of the CPU time. So the throughputs are those of server and
  generator together, and their ratios are nearer to 1 than those of the CPU times, which depend less on the machine's
  other business. Where it may, its thread goes before all others: otherwise it waits milliseconds for the servers it
  asks, and that would be taken for their latency.
- **CPU time** is that of the server's process for a check, from /proc, while it is loaded; "afterwards" is what it
  spends once the load has ended, until all is at rest, for five seconds at most: what was journaled is brought into
  the database. Redis is told apart; PostgreSQL is not counted.
- **Metering** is judged by the throughput with a journal and without. With it, bringing records into the database is
  part of the load: it happens meanwhile, on the same cores.
- **As fast as answered**: so many connections, each of which asks again as soon as it is answered.
- **At fixed rates**: requests arrive as a Poisson process at a share of the contender's own peak (64 connections),
  whether the server keeps up or not, on up to 64 connections. A latency begins when the request arrived, and not when
  it could be sent: waiting for a server that stands still is part of it. "Late" is how late the generator itself was
  although a connection was free; it is part of the latencies as well.
- **Turns.** All servers run all the time; each is loaded in short slices, another one first in each round, and each
  slice begins once all servers are at rest, or after five seconds. A ratio is the median of the ratios of the rounds.
  p99 in the budgets is the median of the rounds; the latencies in the tables are those of all rounds together.
`

func (r *report) text() string {
	var b strings.Builder
	b.WriteString(preamble)
	fmt.Fprintf(&b, "\n%s\n", r.circumstances.String())
	if r.many != nil {
		fmt.Fprintf(&b, "## Budgets\n\n%s\n", r.budgets())
		b.WriteString("## As fast as answered\n\n![Throughput](plots/e2e-throughput.svg)\n\n")
		b.WriteString("64 connections, 8 for batches; in brackets is the throughput as a multiple of the bare handler's\n\n" + r.throughput(r.many, r.names))
		b.WriteString("\n8 connections\n\n" + r.throughput(r.eight, r.chief))
		b.WriteString("\n1 connection\n\n" + r.throughput(r.lone, r.chief))
		b.WriteString("\n## At fixed rates\n\n![Latency](plots/e2e-latency.svg)\n\n" + r.latencies() + "\n")
	}
	if r.soak != nil {
		fmt.Fprintf(&b, "## Kept busy\n\n%s\n", r.soak.text())
	}
	b.WriteString(method)
	return b.String()
}

// tolerable is the share of the machine that other programs may have.
const tolerable = 0.05

// foreign tells how much of the machine other programs had: with much of it nothing here is worth anything.
func (r *report) foreign() string {
	var values []float64
	for _, name := range r.names {
		for _, of := range append([]results{r.many, r.eight, r.lone}, slices.Collect(maps.Values(r.open))...) {
			for _, s := range of[name] {
				values = append(values, s.foreign)
			}
		}
	}
	shown := fmt.Sprintf("%.0f %% of all cores, %.0f %% at the most", 100*workload.Median(values), 100*slices.Max(values))
	if workload.Median(values) > tolerable {
		shown += ": **void**, the machine must be left alone"
	}
	return shown
}

func (r *report) throughput(of results, names []string) string {
	t := bench.Table{Head: []string{"", "checks a second", "CPU µs a check", "afterwards", "of Redis", "generator", "p50", "p99", "wrong"}}
	for _, name := range names {
		all := of.merged(name, latencies)
		t.Add(name, bench.Times(of.median(name, rate), of.ratio(name, bare, rate)), bench.Number(of.median(name, server)),
			bench.Number(of.median(name, after)), bench.Number(of.median(name, beside)),
			fmt.Sprintf("%.0f %%", 100*of.median(name, generator)), bench.Duration(all.Quantile(0.5)), bench.Duration(all.Quantile(0.99)),
			fmt.Sprint(of.sum(name, func(s *sample) uint64 { return s.others })))
	}
	return t.String()
}

func (r *report) latencies() string {
	t := bench.Table{Head: []string{"", "of its peak", "checks a second", "p50", "p90", "p99", "p99.9", "longest", "late, p99", "unanswered", "wrong"}}
	for _, name := range r.chief {
		for _, share := range shares {
			of := r.open[share]
			all := of.merged(name, latencies)
			t.Add(name, fmt.Sprintf("%.0f %%", 100*share), bench.Number(of.median(name, rate)),
				bench.Duration(all.Quantile(0.5)), bench.Duration(all.Quantile(0.9)), bench.Duration(all.Quantile(0.99)),
				bench.Duration(all.Quantile(0.999)), bench.Duration(all.Summary().Max),
				bench.Duration(of.merged(name, late).Quantile(0.99)),
				fmt.Sprint(of.sum(name, func(s *sample) uint64 { return s.lost })), fmt.Sprint(of.sum(name, func(s *sample) uint64 { return s.others })))
		}
	}
	return t.String()
}

func latencies(s *sample) *workload.Latencies { return &s.latencies }
func late(s *sample) *workload.Latencies      { return &s.late }

// latencyChart shows the p99 of each against the share of its peak.
func (r *report) latencyChart() *bench.Chart {
	c := &bench.Chart{
		Title: "Latency of one call in a hundred", X: "share of its own peak", Y: "ms, p99 from the time it was to be sent",
		XLabel: func(x float64) string { return fmt.Sprintf("%.0f %%", x) },
	}
	for _, name := range append([]string{embedded}, r.chief...) {
		if name == embedded && len(c.Lines) > 0 {
			continue // it is drawn first
		}
		line := bench.Line{Name: name}
		for _, share := range shares {
			line.Points = append(line.Points, bench.Point{X: 100 * share, Y: r.open[share].median(name, p99) / 1e6})
		}
		c.Lines = append(c.Lines, line)
	}
	return c
}

// throughputChart shows what each does with 64 connections.
func (r *report) throughputChart() *bench.Bars {
	c := &bench.Bars{Title: "Throughput over HTTP, on one machine with the load", X: "checks a second, 64 connections; batches of 100 are left out"}
	for _, name := range r.names {
		if !strings.Contains(name, "batches") {
			c.Add(name, r.many.median(name, rate), !strings.Contains(bare+gubernator+envoyBuffered, name))
		}
	}
	return c
}

// describe tells when, where, and of what.
func (b *run) describe(ctx context.Context) error {
	r, machine := &b.report, bench.ThisMachine()
	for _, c := range b.contenders {
		r.names = append(r.names, c.name)
	}
	for _, c := range b.chief() {
		r.chief = append(r.chief, c.name)
	}
	t := bench.Table{Head: []string{"", ""}}
	t.Add("measured", fmt.Sprintf("%s, in %s", b.began.UTC().Format(time.DateOnly), r.took.Round(time.Second)))
	t.Add("by", "`"+b.command()+"`")
	t.Add("on", fmt.Sprintf("%s, %d cores, %s", machine.CPU, machine.Cores, machine.OS))
	t.Add("with", machine.Go)
	t.Add("gin", bench.Version("github.com/gin-gonic/gin"))
	for _, p := range b.started {
		if p.Name != "redis" {
			continue
		}
		version, err := servers.RedisVersion(ctx, p.Addr)
		if err != nil {
			return err
		}
		t.Add("Redis", version)
		if version, err = servers.PostgresVersion(ctx); err != nil {
			return err
		}
		t.Add("PostgreSQL", version)
	}
	for i, peer := range []*servers.Built{b.gubernator, b.envoy} {
		if peer != nil {
			t.Add([]string{servers.Gubernator.Module, servers.Envoy.Module}[i], peer.String())
		}
	}
	if r.many != nil {
		t.Add("other programs meanwhile", r.foreign())
	}
	r.circumstances = t
	return nil
}

func (b *run) command() string {
	var quick, soak string
	if b.quick {
		quick = "-quick"
	}
	if b.soakFor > 0 {
		soak = b.soakFor.String()
	}
	return bench.Command("bench-e2e", quick, bench.Flag("-only", b.only), bench.Flag("-soak", soak))
}

// write writes the report and its plots into the folder, if there is one.
func (r *report) write(folder string) error {
	files := map[string]string{"RESULTS-e2e.md": r.text()}
	if r.many != nil {
		files["plots/e2e-latency.svg"], files["plots/e2e-throughput.svg"] = r.latencyChart().SVG(), r.throughputChart().SVG()
	}
	return bench.Save(folder, files)
}
