package main

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/bench/e2e/load"
	"github.com/viva/rate-limiter/bench/e2e/servers"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestSecretsAreKeysAndStayTheSame(t *testing.T) {
	keys, again := secrets(open, 100), secrets(open, 200)
	require.Equal(t, 100, keys.Len())
	require.Equal(t, keys.Text, again.Text[:len(keys.Text)])
	seen := map[string]bool{}
	for _, each := range []string{open, shut} {
		for i := range keys.Len() {
			secret := string(secrets(each, 100).At(i))
			require.True(t, apikey.Valid(secret), secret)
			require.False(t, seen[secret], "plans have keys of their own")
			seen[secret] = true
		}
	}
}

// measured makes samples of several rounds from throughputs.
func measured(rates map[string][]float64) results {
	r := results{}
	for name, values := range rates {
		for _, value := range values {
			s := &sample{rate: value, server: 1e6 / value}
			for i := range 1000 {
				s.latencies.Add(time.Duration(i+1) * time.Microsecond)
			}
			r[name] = append(r[name], s)
		}
	}
	return r
}

func TestRatiosAreThoseOfTheRounds(t *testing.T) {
	// The machine was half as fast in the second round, for both.
	r := measured(map[string][]float64{bare: {100, 50, 100}, embedded: {90, 45, 80}})
	require.InDelta(t, 0.9, r.ratio(embedded, bare, rate), 1e-9)
	require.InDelta(t, 80, r.median(embedded, rate), 1e-9)
	require.True(t, math.IsNaN(r.ratio(onRedis, bare, rate)), "what was not measured has no ratio")
	require.InDelta(t, float64(990*time.Microsecond), r.median(bare, p99), float64(40*time.Microsecond))
	require.EqualValues(t, 3000, r.merged(bare, latencies).Summary().N)
}

func TestBudgetsAreJudged(t *testing.T) {
	r := report{
		many: measured(map[string][]float64{
			bare: {45_000}, embedded: {37_000}, noJournal: {38_000}, embeddedBatch: {290_000}, onRedis: {24_000}, envoy: {12_500},
		}),
		open: map[float64]results{0.5: measured(map[string][]float64{bare: {1}, embedded: {1}, onRedis: {1}})},
	}
	rows := map[string]string{}
	for _, row := range r.budgets().Rows {
		rows[row[0]] = strings.Join(row[1:], " | ")
	}
	require.Equal(t, "≥ 0.8 × | 0.82 (37,000, 45,000 a second; of CPU time 0.82) | met", rows["validate, embedded: of the bare handler"])
	require.Contains(t, rows["validate, Redis: of the bare handler"], "**missed**")
	require.Contains(t, rows["validate/batch of 100, embedded: checks a second, where the bare handler does 45k"], "**missed**")
	require.Contains(t, rows["metering: throughput lost"], "2.6 % (CPU time added: 2.7 %) | met")
	require.Contains(t, rows["p99 at half of the peak, embedded"], "≤ 1 ms | 1.00 ms (bare handler 1.00 ms) | met")
	require.Contains(t, rows["validate, embedded: of Gubernator over HTTP"], "— | not measured")
	require.Contains(t, rows["validate, Redis: of Envoy ratelimit's /json"], "1.92")
}

func TestSlicesTellWhatWasDoneAndWhatItTook(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") }))
	defer server.Close()
	keys := secrets(open, 10)
	b := &run{plan: plans(true), began: time.Now()}
	c := &contender{
		name: "itself", keys: keys, status: http.StatusOK, want: "fine", request: load.Post("/", check, keys.Width),
		server: &servers.Process{Name: "itself", Addr: server.Listener.Addr().String(), PID: os.Getpid()},
	}
	s, err := b.slice(t.Context(), c, 4, 0, 100*time.Millisecond, 1)
	require.NoError(t, err)
	require.Positive(t, s.rate)
	require.Positive(t, s.server)
	require.InDelta(t, 0.5, s.generator, 0.5)
	require.GreaterOrEqual(t, s.foreign, 0.0)
	require.Zero(t, s.others)
	require.Equal(t, 1, b.progress.done)

	c.want = "well"
	_, err = b.slice(t.Context(), c, 4, 0, 20*time.Millisecond, 1)
	require.ErrorContains(t, err, "does not answer as it should")
}

func TestARunBesideOthersIsVoid(t *testing.T) {
	r := report{names: []string{bare}, many: results{bare: {{foreign: 0.01}, {foreign: 0.02}, {foreign: 0.4}}}}
	require.Equal(t, "2 % of all cores, 40 % at the most", r.foreign())
	r.many[bare][0].foreign = 0.3
	require.Contains(t, r.foreign(), "30 % of all cores, 40 % at the most: **void**")
}

func TestTurnsBeginWithAnotherEachRound(t *testing.T) {
	all := []*contender{{name: "a"}, {name: "b"}, {name: "c"}}
	var order string
	for round := range 4 {
		for _, c := range turns(all, round) {
			order += c.name
		}
	}
	require.Equal(t, "abcbcacababc", order)
}

func TestMetricsAreReadAndSummed(t *testing.T) {
	told, err := parseMetrics(strings.NewReader(`# HELP go_goroutines Number.
# TYPE go_goroutines gauge
go_goroutines 42
process_resident_memory_bytes 1.5e+08
viva_checks_total{code="ok"} 3
viva_checks_total{code="a \"b c\""} 4
`))
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"go_goroutines": 42, "process_resident_memory_bytes": 1.5e8, "viva_checks_total": 7}, told)
}

func TestGrowthIsToldFromNoise(t *testing.T) {
	var at []time.Duration
	var noisy, growing, shrinking []float64
	for i := range 30 {
		at = append(at, time.Duration(i)*soakSample)
		noise := float64(i%3) * 1e6
		noisy, growing, shrinking = append(noisy, 500e6+noise), append(growing, 500e6+noise+2e6*float64(i)), append(shrinking, 500e6-2e6*float64(i))
	}
	memory := &gauges[0]
	require.InDelta(t, 58e6, trend(at, growing), 2e6)
	require.False(t, memory.flat(trend(at, growing), 530e6))
	require.True(t, memory.flat(trend(at, noisy), 500e6))
	require.True(t, memory.flat(trend(at, shrinking), 470e6), "what shrinks does not grow")
	require.False(t, memory.flat(math.NaN(), math.NaN()))
}
