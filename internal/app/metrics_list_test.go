package app

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
)

//go:generate go test . -run TestTheListOfMetricsIsCurrent -update

var update = flag.Bool("update", false, "write the list of metrics instead of comparing it")

const (
	metricsFile = "testdata/metrics.txt"
	metricsPage = "../../docs/metrics.md"
)

const metricsHead = "<!-- Generated from internal/app; change it there and run `go generate ./internal/app`. -->\n" + `# Metrics

Every process answers ` + "`GET /metrics`" + ` in the format of Prometheus: ` + "`viva serve`" + ` and ` + "`api`" + ` at ` + "`server.addr`" + `, ` + "`worker`" + ` at
` + "`worker.addr`" + `. It needs no token. With ` + "`metrics.addr`" + ` it answers on a listener of its own instead, and with
` + "`metrics.enabled: false`" + ` not at all.

No label holds a key, an owner, a plan, a destination, a rule or an address. A scrape waits less than a second for the
database and Redis; what they do not tell by then is left out of it. Metrics of *all processes together* are read from the
database and the queue: every ` + "`serve`" + ` and ` + "`worker`" + ` tells the same, so take ` + "`max`" + ` of them rather than ` + "`sum`" + `.

| metric | type | labels | told by | |
|---|---|---|---|---|
`

const metricsTail = `
` + "`viva serve`" + ` tells those of the shared limit store and of connections to Redis where ` + "`redis.url`" + ` is set. Those of the journal
are told where ` + "`journal.enabled`" + ` is.

Beside them are ` + "`go_*`" + ` of the Go runtime with its garbage collector, scheduler and memory, ` + "`process_*`" + ` of the process, and
` + "`go_sql_*`" + ` of the connections to the database.
`

// listed is one metric as the lists have it.
type listed struct {
	name, kind, help string
	labels           []string
	by               []string
}

// gather adds what a process tells to the list.
func (p *process) gather(list map[string]*listed, by string) {
	p.t.Helper()
	families, err := p.metrics.Gatherer().Gather()
	require.NoError(p.t, err)
	var own []string // whose names are ours to choose
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "viva_") {
			own = append(own, f.GetName())
		}
		m := list[f.GetName()]
		if m == nil {
			m = &listed{name: f.GetName(), kind: strings.ToLower(f.GetType().String()), help: f.GetHelp()}
			list[m.name] = m
		}
		for _, label := range f.GetMetric()[0].GetLabel() {
			if !slices.Contains(m.labels, label.GetName()) {
				m.labels = append(m.labels, label.GetName())
			}
		}
		m.by = append(m.by, by)
	}
	problems, err := testutil.GatherAndLint(p.metrics.Gatherer(), own...)
	require.NoError(p.t, err)
	require.Empty(p.t, problems)
}

func TestTheListOfMetricsIsCurrent(t *testing.T) {
	list := map[string]*listed{}
	environ := shared(t)
	for _, p := range []*process{run(t, config.RoleServe), run(t, config.RoleAPI, environ...), run(t, config.RoleWorker, environ...)} {
		p.call("GET", "/health", nil) // requests are told of once there are some
		p.gather(list, string(p.role))
	}
	var text, page strings.Builder
	page.WriteString(metricsHead)
	for _, m := range slices.SortedFunc(maps.Values(list), func(a, b *listed) int { return cmp.Compare(a.name, b.name) }) {
		slices.Sort(m.labels)
		fmt.Fprintf(&text, "%s %s {%s} %s\n", m.name, m.kind, strings.Join(m.labels, ","), strings.Join(m.by, ","))
		if strings.HasPrefix(m.name, "viva_") {
			fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", m.name, m.kind, code(m.labels), strings.Join(m.by, " "), m.help)
		}
	}
	page.WriteString(metricsTail)
	for file, want := range map[string]string{metricsFile: text.String(), metricsPage: page.String()} {
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		}
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, want, string(got), "run `go generate ./internal/app`")
	}
}

func code(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "` `") + "`"
}
