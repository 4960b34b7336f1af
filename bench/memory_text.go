package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/viva/rate-limiter/bench/inmemory"
	"github.com/viva/rate-limiter/bench/limiters"
	"github.com/viva/rate-limiter/bench/report"
	"github.com/viva/rate-limiter/bench/workload"
)

func memoryText(r *inmemory.Results) string {
	var b strings.Builder
	b.WriteString("![Time of a call against number of keys](plots/time.svg)\n\n")
	for _, cores := range inmemory.Cores() {
		fmt.Fprintf(&b, "### Keys that are there, on %s\n\nns per call\n\n%s\n",
			coreCount(cores), steadyTable(r, cores))
	}
	fmt.Fprintf(&b, "### New keys\n\nns per call, one caller\n\n%s\n", fillTable(r))
	b.WriteString("![Memory for a key against number of keys](plots/memory.svg)\n\n")
	fmt.Fprintf(&b, "### Memory\n\nbytes for each key\n\n%s\n", footprintTable(r))
	fmt.Fprintf(&b, "### Garbage\n\nat %s keys\n\n%s\n", workload.Count(r.Plan.Largest()), garbageTable(r))
	fmt.Fprintf(&b, "### The longest calls\n\n%s\n", longestTable(r))
	b.WriteString(lapseText(r) + failureText(r))
	return b.String()
}

func coreCount(n int) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%d cores", n)
}

// head is a first column and one for each limiter.
func head(first string) []string {
	names := []string{first}
	for _, limiter := range limiters.InMemory {
		names = append(names, limiter.Name)
	}
	return names
}

func steadyTable(r *inmemory.Results, cores int) *report.Table {
	t := &report.Table{Head: head("")}
	for _, deny := range []bool{false, true} {
		for _, pattern := range []workload.Pattern{workload.Uniform, workload.Zipf, workload.Hot} {
			for _, keys := range r.Plan.Sizes {
				cell := inmemory.Cell{Keys: keys, Deny: deny, Pattern: pattern, Cores: cores}
				if r.Steady[cell] != nil {
					first := fmt.Sprintf("%s, %s, %s", cell.Outcome(), pattern, workload.Count(keys))
					t.Add(append([]string{first}, compared(r.Steady[cell])...)...)
				}
			}
		}
	}
	return t
}

// compared writes a value for each limiter, and what ours is of it.
func compared(measured map[string]*workload.Series) (cells []string) {
	for _, limiter := range limiters.InMemory {
		s := measured[limiter.Name]
		if limiter.Name == limiters.Ours || limiter.Name == limiters.Floor {
			cells = append(cells, report.Number(s.Median()))
		} else {
			cells = append(cells, report.Times(s.Median(), s.Ratio()))
		}
	}
	return cells
}

func fillTable(r *inmemory.Results) *report.Table {
	t := &report.Table{Head: head("keys")}
	for _, keys := range r.Plan.Sizes {
		t.Add(append([]string{workload.Count(keys)}, compared(r.Fill[keys])...)...)
	}
	return t
}

func footprintTable(r *inmemory.Results) *report.Table {
	t := &report.Table{Head: head("keys")}
	row := func(first string, keys int, of func(inmemory.Footprint) float64) {
		cells := []string{first}
		ours := of(r.Memory[keys][limiters.Ours])
		for _, limiter := range limiters.InMemory {
			value := of(r.Memory[keys][limiter.Name])
			switch limiter.Name {
			case limiters.Ours:
				cells = append(cells, report.Number(value))
			case limiters.Floor:
				cells = append(cells, "")
			default:
				cells = append(cells, report.Times(value, ours/value))
			}
		}
		t.Add(cells...)
	}
	for _, keys := range r.Plan.Sizes {
		row(workload.Count(keys), keys, func(f inmemory.Footprint) float64 { return f.Heap })
	}
	for _, keys := range r.Plan.Sizes {
		if keys >= 1_000_000 { // with fewer it is the runtime's own
			row(workload.Count(keys)+", resident", keys, func(f inmemory.Footprint) float64 { return f.Resident })
		}
	}
	return t
}

func garbageTable(r *inmemory.Results) *report.Table {
	t := &report.Table{Head: []string{
		"", "objects per call", "objects per new key", "a collection", "its CPU time", "its longest stop",
	}}
	for _, limiter := range limiters.InMemory {
		collected := r.Collect[limiter.Name]
		t.Add(limiter.Name, report.Number(r.Mallocs[limiter.Name]), report.Number(r.Inserts[limiter.Name]),
			report.Duration(collected.Wall), report.Duration(collected.CPU), report.Duration(collected.Pause))
	}
	return t
}

func longestTable(r *inmemory.Results) *report.Table {
	growth := "growing to " + workload.Count(r.Plan.Largest())
	t := &report.Table{Head: []string{
		"", growth + ": p50", "p99", "p99.9", "longest", "while keys lapse: p50", "p99", "p99.9", "longest",
	}}
	for _, limiter := range limiters.InMemory {
		row := append([]string{limiter.Name}, quantiles(r.Growth[limiter.Name])...)
		if limiter.Sweeps {
			row = append(row, quantiles(r.Churn[limiter.Name])...)
		} else {
			row = append(row, "never drops", "", "", "")
		}
		t.Add(row...)
	}
	return t
}

func quantiles(s workload.Summary) []string {
	return []string{report.Duration(s.P50), report.Duration(s.P99), report.Duration(s.P999), report.Duration(s.Max)}
}

func lapseText(r *inmemory.Results) string {
	q := quantiles(r.Lapse)
	return fmt.Sprintf(`Keys lapse: %d new ones a second for %s, in windows of %s; the peers that look for lapsed keys do so as
often. Once %s keys of ours had lapsed all at the same time, as many new ones took %s (p50), %s (p99),
%s (p99.9), %s at the longest.
`, inmemory.ChurnRate, r.Plan.Churn, inmemory.ChurnWindow, workload.Count(r.Plan.Largest()), q[0], q[1], q[2], q[3])
}

func failureText(r *inmemory.Results) string {
	var b strings.Builder
	for _, limiter := range limiters.InMemory {
		if f := r.Failed[limiter.Name]; f.Share > 0 {
			fmt.Fprintf(&b, "\n%s did not answer %.2g %% of its calls (%s, %s, on %s): %q\n",
				limiter.Name, 100*f.Share, f.Outcome(), f.Pattern, coreCount(f.Cores), f.Error)
		}
	}
	return b.String()
}

func timeChart(r *inmemory.Results) *report.Chart {
	return chart(r, fmt.Sprintf("Time of a call, keys used equally often, on %s", coreCount(most())), "ns",
		func(keys int, name string) float64 { return r.Steady[plain(keys)][name].Median() })
}

func memoryChart(r *inmemory.Results) *report.Chart {
	return chart(r, "Memory for a key", "bytes", func(keys int, name string) float64 {
		return r.Memory[keys][name].Heap
	})
}

// chart draws a line for each limiter.
func chart(r *inmemory.Results, title, unit string, value func(keys int, name string) float64) *report.Chart {
	c := &report.Chart{
		Title: title, X: "keys", Y: unit, XLabel: func(x float64) string { return workload.Count(int(math.Round(x))) },
	}
	for _, limiter := range limiters.InMemory {
		if limiter.Name == limiters.Floor {
			continue
		}
		line := report.Line{Name: limiter.Name}
		for _, keys := range r.Plan.Sizes {
			line.Points = append(line.Points, report.Point{X: float64(keys), Y: value(keys, limiter.Name)})
		}
		c.Lines = append(c.Lines, line)
	}
	return c
}
