// Command bench measures our limiter and its peers on the same work, in one run, in turns, and compares them.
//
//	bench [-quick] [-only memory|redis] [-out FOLDER]
//
// Progress goes to standard error, tables to standard output. A full run also writes RESULTS.md and plots, to the
// current folder unless told otherwise; one that is quick or only a part writes them where -out says, if it does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/viva/rate-limiter/bench/inmemory"
	"github.com/viva/rate-limiter/bench/inredis"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == inmemory.HoldCommand {
		end(inmemory.Serve(os.Args[2]))
	}
	quick := flag.Bool("quick", false, "measure less, and less thoroughly, in under 90 seconds")
	only := flag.String("only", "", "measure only a `part`: memory or redis")
	out := flag.String("out", "", "write RESULTS.md and plots to this `folder`")
	flag.Parse()
	if flag.NArg() > 0 || *only != "" && *only != "memory" && *only != "redis" {
		flag.Usage()
		os.Exit(2)
	}
	if *out == "" && !*quick && *only == "" {
		*out = "."
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	end(run(ctx, *quick, *only, *out))
}

// end exits: with a complaint, if there is one.
func end(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func run(ctx context.Context, quick bool, only, out string) error {
	if out != "" {
		if err := os.MkdirAll(out, 0o755); err != nil { // rather now than after ten minutes
			return fmt.Errorf("make the folder of the results: %w", err)
		}
	}
	began := time.Now()
	log := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	memoryPlan, redisPlan := plans(quick)
	memoryPlan.Log, redisPlan.Log = log, log
	r := &results{at: began, quick: quick, only: only}
	var err error
	if only != "redis" {
		if r.memory, err = inmemory.Measure(ctx, memoryPlan); err != nil {
			return interrupted(ctx, err)
		}
	}
	if only != "memory" {
		if r.redis, err = inredis.Measure(ctx, redisPlan); err != nil {
			return interrupted(ctx, err)
		}
	}
	r.took = time.Since(began)
	fmt.Print(r.text())
	return r.write(out)
}

// interrupted leaves out what everything complains of when it is stopped.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

func plans(quick bool) (inmemory.Plan, inredis.Plan) {
	const apart = 10_000_000
	if quick {
		return inmemory.Plan{
				Sizes: []int{1_000, 100_000, 1_000_000}, Hot: 100_000, Apart: apart,
				Fills: 1, Rounds: 3, Slice: 25 * time.Millisecond, Pool: 1 << 18, Churn: 2 * time.Second,
			}, inredis.Plan{
				Keys: 1_000, Rounds: 3, Slice: 150 * time.Millisecond, Callers: 64,
			}
	}
	return inmemory.Plan{
			Sizes: []int{1_000, 10_000, 100_000, 1_000_000, 10_000_000}, Hot: 100_000, Apart: apart,
			Fills: 3, Rounds: 7, Slice: 60 * time.Millisecond, Pool: 1 << 20, Churn: 8 * time.Second,
		}, inredis.Plan{
			Keys: 10_000, Rounds: 11, Slice: 300 * time.Millisecond, Callers: 64,
		}
}
