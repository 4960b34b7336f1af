package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/viva/rate-limiter/bench/inredis"
	"github.com/viva/rate-limiter/bench/limiters"
	"github.com/viva/rate-limiter/bench/report"
	"github.com/viva/rate-limiter/bench/workload"
)

func redisText(r *inredis.Results) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### A lone caller\n\nµs per call, %s keys used equally often\n\n%s\n",
		workload.Count(r.Plan.Keys), loneTable(r))
	fmt.Fprintf(&b, "### %d callers\n\nadmitted calls; more is better, and (2.00) says that ours does twice as many\n\n%s",
		r.Plan.Callers, crowdTable(r))
	return b.String()
}

func loneTable(r *inredis.Results) *report.Table {
	t := &report.Table{Head: []string{
		"", "admissions: mean", "p50", "p99", "denials: mean", "p50", "p99", "objects per call",
	}}
	for _, limiter := range limiters.InRedis {
		row := []string{limiter.Name}
		for outcome := range r.Lone {
			lone := r.Lone[outcome][limiter.Name]
			summary := lone.Each.Summary()
			mean := report.Times(lone.Mean.Median()/1e3, lone.Mean.Ratio())
			if limiter.Name == limiters.Ours || limiter.Name == limiters.Floor {
				mean = report.Number(lone.Mean.Median() / 1e3)
			}
			row = append(row, mean, micros(summary.P50), micros(summary.P99))
		}
		t.Add(append(row, report.Number(r.Lone[inredis.Admissions][limiter.Name].Mallocs))...)
	}
	return t
}

func micros(d time.Duration) string { return report.Number(float64(d) / 1e3) }

func crowdTable(r *inredis.Results) *report.Table {
	t := &report.Table{Head: []string{"", "calls a second", "p50", "p99"}}
	for _, limiter := range limiters.InRedis {
		crowd := r.Crowd[limiter.Name]
		summary := crowd.Each.Summary()
		rate := report.Number(crowd.Rate.Median())
		if limiter.Name != limiters.Ours && limiter.Name != limiters.Floor {
			rate = report.Times(crowd.Rate.Median(), crowd.Rate.Ratio())
		}
		t.Add(limiter.Name, rate, report.Duration(summary.P50), report.Duration(summary.P99))
	}
	return t
}
