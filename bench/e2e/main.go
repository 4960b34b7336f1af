// Command e2e measures the service over HTTP, as its users have it, beside a bare handler and beside its peers: all of
// them on this machine, in one run, in turns.
//
//	e2e [-quick] [-only PART,…] [-soak DURATION] [-out FOLDER]
//
// Progress goes to standard error, the report to standard output. A full run also writes RESULTS-e2e.md and plots, to
// the current folder unless told otherwise; one that is quick or only a part writes them where -out says, if it does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/viva/rate-limiter/bench/e2e/servers"
)

// parts are what can be measured alone, beside the bare handler and the embedded service.
var parts = []string{"embedded", "redis", "peers", "soak"}

func main() {
	if len(os.Args) == 4 && os.Args[1] == servers.BareCommand {
		end(servers.ServeBare(os.Args[2], os.Args[3]))
	}
	quick := flag.Bool("quick", false, "measure less, and less thoroughly, in under 3 minutes")
	only := flag.String("only", "", "measure only these `parts`: "+strings.Join(parts, ", "))
	soak := flag.Duration("soak", 0, "also keep the embedded service busy for so `long`, and see whether it grows")
	out := flag.String("out", "", "write RESULTS-e2e.md and plots to this `folder`")
	root := flag.String("root", "..", "the `folder` of the service's source")
	flag.Parse()
	chosen := parts
	if *only != "" {
		chosen = strings.Split(*only, ",")
	}
	for _, part := range chosen {
		if !slices.Contains(parts, part) {
			end(fmt.Errorf("-only: %q must be one of: %s", part, strings.Join(parts, ", ")))
		}
	}
	if *only == "soak" && *soak == 0 {
		end(errors.New("-only soak: -soak must say how long, such as 10m"))
	}
	if *soak != 0 && *soak < 8*soakSample {
		end(fmt.Errorf("-soak: %s is too short; it must be at least %s", *soak, 8*soakSample))
	}
	if *out == "" && !*quick && *only == "" {
		*out = "."
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &run{root: *root, plan: plans(*quick), quick: *quick, only: *only, soakFor: *soak, parts: map[string]bool{}, began: time.Now()}
	for _, part := range chosen {
		b.parts[part] = true
	}
	err := b.do(ctx, *out)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	end(err)
}

// end exits: with a complaint, if there is one.
func end(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "bench-e2e:", err)
	os.Exit(1)
}

// A plan says how thoroughly to measure.
type plan struct {
	sizes                         []size
	rounds, fewRounds, openRounds int // as fast as answered with many connections, with few; at fixed rates
	slice, openSlice              time.Duration
}

// size is a number of keys beside the usual one.
type size struct {
	name string
	keys int
}

func plans(quick bool) plan {
	if quick {
		return plan{
			sizes: []size{{"1k", 1_000}}, rounds: 2, fewRounds: 1, openRounds: 1,
			slice: 500 * time.Millisecond, openSlice: time.Second,
		}
	}
	return plan{
		sizes:  []size{{"1k", 1_000}, {"100k", 100_000}, {"1M", 1_000_000}},
		rounds: 9, fewRounds: 3, openRounds: 5, slice: time.Second, openSlice: 1500 * time.Millisecond,
	}
}

// run is one run of this program.
type run struct {
	root, cache, dir, programs string
	plan                       plan
	quick                      bool
	only                       string
	parts                      map[string]bool
	soakFor                    time.Duration
	began                      time.Time
	progress                   progress
	started                    []*servers.Process
	contenders                 []*contender
	gubernator, envoy          *servers.Built
	report                     report
}

func (b *run) do(ctx context.Context, out string) (err error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("find the user's cache: %w", err)
	}
	b.cache = filepath.Join(caches, "viva-bench")
	if err := os.MkdirAll(b.cache, 0o700); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	if b.dir, err = os.MkdirTemp("", "viva-bench-e2e-"); err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, servers.StopAll(b.started), os.RemoveAll(b.dir)) }()
	if err := b.build(ctx); err != nil {
		return err
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.measure(ctx); err != nil {
		return err
	}
	if b.soakFor > 0 {
		if b.report.soak, err = b.soak(ctx); err != nil {
			return err
		}
	}
	b.report.took = time.Since(b.began)
	if err := b.describe(ctx); err != nil {
		return err
	}
	fmt.Print(b.report.text())
	return b.report.write(out)
}

func (b *run) build(ctx context.Context) (err error) {
	b.programs = filepath.Join(b.dir, "programs")
	b.log("building the service")
	if err := servers.BuildViva(ctx, b.root, b.programs); err != nil {
		return err
	}
	if !b.parts["peers"] {
		return nil
	}
	b.log("building Gubernator and Envoy ratelimit: some minutes, the first time")
	if b.gubernator, err = servers.Gubernator.Build(ctx, b.cache); err != nil {
		return err
	}
	b.envoy, err = servers.Envoy.Build(ctx, b.cache)
	return err
}

func (b *run) start(ctx context.Context) error {
	if err := b.startEmbedded(ctx); err != nil {
		return err
	}
	if b.parts["redis"] {
		if err := b.startRedis(ctx); err != nil {
			return err
		}
	}
	if b.parts["peers"] {
		return b.startPeers(ctx)
	}
	return nil
}

// measure is skipped where only a soak is wanted.
func (b *run) measure(ctx context.Context) (err error) {
	if b.only == "soak" {
		return nil
	}
	chief := b.chief()
	b.log("measuring")
	b.progress = progress{
		log_: b.log, began: time.Now(),
		all: len(b.contenders)*b.plan.rounds + 2*len(chief)*b.plan.fewRounds + len(shares)*len(chief)*b.plan.openRounds,
	}
	r := &b.report
	if r.many, err = b.closed(ctx, b.contenders, 64, b.plan.rounds); err != nil {
		return err
	}
	if r.eight, err = b.closed(ctx, chief, 8, b.plan.fewRounds); err != nil {
		return err
	}
	if r.lone, err = b.closed(ctx, chief, 1, b.plan.fewRounds); err != nil {
		return err
	}
	r.open, err = b.opened(ctx, chief, r.many)
	return err
}

// chief are the contenders that are looked at more closely.
func (b *run) chief() (chief []*contender) {
	for _, c := range b.contenders {
		if slices.Contains([]string{bare, embedded, onRedis, onCluster, gubernator, envoy, envoyBuffered}, c.name) {
			chief = append(chief, c)
		}
	}
	return chief
}

func (b *run) log(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%7.1fs  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// progress tells how far the measuring is.
type progress struct {
	log_      func(format string, args ...any)
	began     time.Time
	done, all int // slices
}

func (p *progress) log(format string, args ...any) {
	left := time.Duration(float64(time.Since(p.began)) / float64(p.done) * float64(p.all-p.done))
	p.log_("%3d %%, about %s left: %s", 100*p.done/p.all, left.Round(time.Second), fmt.Sprintf(format, args...))
}
