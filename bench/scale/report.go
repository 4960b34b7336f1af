package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/viva/rate-limiter/bench/report"
	"github.com/viva/rate-limiter/bench/workload"
)

const preface = `# The service with many keys

Written by ` + "`make bench-scale`" + `. One database grows through all sizes; keys are imported by ` + "`viva keys import`" + ` over
HTTP as anyone would, without a pepper. Every second key has an owner of its own, the others share 1,000; each has a tag.
Then the service is started anew and asked by one client at a time. Times are of the whole call over HTTP, the median and
in brackets the 99th percentile. *Flat* is the median with the most keys over that with the fewest.

`

// write writes the report and its pictures into a folder.
func write(dir string, results []result) error {
	if len(results) == 0 {
		return nil
	}
	m := report.ThisMachine()
	files := map[string]string{}
	var b strings.Builder
	b.WriteString(preface)
	fmt.Fprintf(&b, "Machine: %s, %d cores, %s, %s. The client and the database share it with the service;\n"+
		"where the load is well above 3, others computed as well, and times are pessimistic.\n", m.CPU, m.Cores, m.OS, m.Go)
	for _, engine := range []string{"sqlite", "postgres"} {
		var of []result
		for _, r := range results {
			if r.engine == engine {
				of = append(of, r)
			}
		}
		if len(of) == 0 {
			continue
		}
		title := map[string]string{"sqlite": "SQLite (viva serve alone)", "postgres": "PostgreSQL"}[engine]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n%s", title, growth(of), operations(of))
		picture := "scale-" + engine + ".svg"
		chart := pictureOf(title, of)
		files["plots/"+picture] = chart.SVG()
		fmt.Fprintf(&b, "\n![Time of calls by the number of keys](plots/%s)\n", picture)
		for _, r := range of {
			for _, op := range r.operations {
				if op.failure != "" {
					fmt.Fprintf(&b, "\nWith %s keys, `%s` failed: %s\n", workload.Count(r.keys), op.name, strings.TrimSpace(op.failure))
				}
			}
		}
	}
	files["RESULTS-scale.md"] = b.String()
	return report.Save(dir, files)
}

// crowd is the load of the machine over the last minute, which others may add to.
func crowd() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(text))[0]
}

func growth(of []result) string {
	t := report.Table{Head: []string{"keys"}}
	rows := [][]string{{"import, keys/s"}, {"import, time"}, {"load of the machine then"}, {"import, CPU per key, without PostgreSQL's"}, {"database"}, {"start until ready"},
		{"memory after the start"}, {"memory after checks of distinct keys"}, {"distinct keys checked"}}
	for _, r := range of {
		t.Head = append(t.Head, workload.Count(r.keys))
		for i, cell := range []string{
			report.Number(r.rate), report.Duration(r.load), r.crowd, report.Duration(r.cpu), size(r.database), report.Duration(r.start),
			size(r.atStart), size(r.after), workload.Count(r.checked),
		} {
			rows[i] = append(rows[i], cell)
		}
	}
	t.Rows = rows
	return t.String()
}

func size(n float64) string {
	if n >= 1<<30 {
		return report.Number(n/(1<<30)) + " GiB"
	}
	return report.Number(n/(1<<20)) + " MiB"
}

func operations(of []result) string {
	t := report.Table{Head: []string{"call"}}
	for _, r := range of {
		t.Head = append(t.Head, workload.Count(r.keys))
	}
	t.Head = append(t.Head, "flat")
	for i, op := range of[0].operations {
		row := []string{op.name}
		for _, r := range of {
			row = append(row, cell(r.operations[i]))
		}
		last := of[len(of)-1].operations[i]
		t.Add(append(row, report.Number(float64(last.p50)/float64(max(op.p50, 1))))...)
	}
	return t.String()
}

func cell(op operation) string {
	if op.failure != "" {
		return "failed"
	}
	return fmt.Sprintf("%s (%s)", report.Duration(op.p50), report.Duration(op.p99))
}

// pictureOf shows the calls that a user would notice first.
func pictureOf(title string, of []result) report.Chart {
	chart := report.Chart{Title: title, X: "keys", Y: "median, ms", XLabel: func(x float64) string { return workload.Count(int(x)) }}
	for _, shown := range []string{"check, key not in memory", "check, key in memory", "POST keys/lookup", "GET keys, first page", "GET keys, page 51 by cursor", "GET keys?tag= of 100 keys"} {
		line := report.Line{Name: shown}
		for _, r := range of {
			for _, op := range r.operations {
				if op.name == shown && op.failure == "" {
					line.Points = append(line.Points, report.Point{X: float64(r.keys), Y: float64(op.p50) / float64(time.Millisecond)})
				}
			}
		}
		chart.Lines = append(chart.Lines, line)
	}
	return chart
}
