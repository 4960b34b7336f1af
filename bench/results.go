package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/viva/rate-limiter/bench/inmemory"
	"github.com/viva/rate-limiter/bench/inredis"
	"github.com/viva/rate-limiter/bench/limiters"
	"github.com/viva/rate-limiter/bench/report"
	"github.com/viva/rate-limiter/bench/workload"
)

// results are those of one run. A part that was not measured is nil.
type results struct {
	at     time.Time
	took   time.Duration
	quick  bool
	only   string
	memory *inmemory.Results
	redis  *inredis.Results
}

const preamble = `# Results

Our limiter and its peers on the same work, measured in turns in one run: medians of all rounds. **In brackets behind
a number is ours with one rule, divided by that number**: (0.25) says that ours needs a quarter. How it was measured is
said at the end.
`

const method = `## How it was measured

- **The work.** One unit is taken from the limit of one key. Admissions are measured against a limit of 10^9 an hour,
  denials against one of 1 an hour that is used up: nothing lapses while it is measured. A limiter whose limit is a
  rate with a burst has the limit as its burst.
- **The limiters** are used as their documentation says, with the clock they come with; a line shows ours with a
  CoarseClock, which costs nothing to read and is up to a millisecond behind. Ours gets a rule with scope, id and
  name, and reuses its request and decision; it answers with the remaining units and exact times as well. Where a peer
  leaves a choice, it gets the faster: throttled's store is unbounded (the bounded one is a list behind one lock), and
  golang.org/x/time/rate, which knows no keys, is kept in 256 locked maps (a sync.Map is slower).
- **Keys** are 20 bytes, prepared before timing, and lie where the caller's request would: they are never the very
  string that a limiter keeps. Keys in the steady state were inserted before. Uniform picks each key equally often,
  Zipf 1.1 a few of them very often, and these are not the first inserted.
- **Turns.** In memory each limiter is held by a process of its own: no heap or garbage of another is in its way. They
  take turns in short slices, another one first in each round; a ratio is the median of the ratios of the rounds.
  From 10M keys on each peer is measured beside ours alone, so that memory holds two stores at most.
- **On two cores** two goroutines call at the same time; a time is that from start to end divided by all calls.
- **Memory** is what the heap of live objects grew by, after a full collection, divided by the keys; resident is the
  same of the whole process. Keys that a limiter keeps are included: 20 bytes each, with no allocation of their own.
- **Single calls** are timed by reading the clock between them, which the line "` + limiters.Floor + `" does around no
  limiter at all: what it shows is the machine's doing, and nobody's fault.
- **Redis** runs on the same machine, on the same cores as the callers, and writes nothing to disk. Every limiter has a
  client with default options. "` + limiters.Floor + `" is a bare PING. An admission by throttled takes two round trips.
  sethvargo's store for Redis is a module that could not be had, and is not compared.
`

// text is the whole report, but for the plots.
func (r *results) text() string {
	var b strings.Builder
	b.WriteString(preamble)
	fmt.Fprintf(&b, "\n%s\n## Budgets\n\n%s", r.circumstances(), r.budgets())
	if r.memory != nil {
		b.WriteString("\n## In memory\n\n" + memoryText(r.memory))
	}
	if r.redis != nil {
		b.WriteString("\n## In Redis\n\n" + redisText(r.redis))
	}
	b.WriteString("\n" + method)
	return b.String()
}

// circumstances tells when, where, and of what.
func (r *results) circumstances() string {
	machine := report.ThisMachine()
	t := report.Table{Head: []string{"", ""}}
	t.Add("measured", fmt.Sprintf("%s, in %s", r.at.UTC().Format(time.DateOnly), r.took.Round(time.Second)))
	t.Add("by", "`"+r.command()+"`")
	t.Add("on", fmt.Sprintf("%s, %d cores, %s", machine.CPU, machine.Cores, machine.OS))
	t.Add("with", machine.Go)
	if r.redis != nil {
		t.Add("Redis", r.redis.Version)
	}
	for _, peer := range r.peers() {
		t.Add(peer, report.Version(peer))
	}
	return t.String()
}

// peers lists the modules that were measured, and the client of Redis.
func (r *results) peers() []string {
	var modules []string
	add := func(module string) {
		for _, known := range modules {
			if known == module {
				return
			}
		}
		if module != "" {
			modules = append(modules, module)
		}
	}
	if r.memory != nil {
		for _, limiter := range limiters.InMemory {
			add(limiter.Module)
		}
	}
	if r.redis != nil {
		for _, limiter := range limiters.InRedis {
			add(limiter.Module)
		}
		add("github.com/redis/go-redis/v9")
	}
	return modules
}

func (r *results) command() string {
	var quick string
	if r.quick {
		quick = "-quick"
	}
	return report.Command("bench", quick, report.Flag("-only", r.only))
}

// write writes the report and its plots into the folder, if there is one.
func (r *results) write(folder string) error {
	files := map[string]string{"RESULTS.md": r.text()}
	if r.memory != nil {
		files["plots/time.svg"] = timeChart(r.memory).SVG()
		files["plots/memory.svg"] = memoryChart(r.memory).SVG()
	}
	return report.Save(folder, files)
}

// most is the number of cores that parallel use is measured on.
func most() int {
	cores := inmemory.Cores()
	return cores[len(cores)-1]
}

// plain is the steady state that the budgets are about.
func plain(keys int) inmemory.Cell {
	return inmemory.Cell{Keys: keys, Pattern: workload.Uniform, Cores: most()}
}
