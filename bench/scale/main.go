package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/viva/rate-limiter/bench/e2e/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-scale:", err)
		os.Exit(1)
	}
}

// A run is what was asked for.
type run struct {
	sizes    []int
	engines  []string
	dir      string // of everything it writes but the report
	programs string
	began    time.Time
}

func bench(ctx context.Context) (err error) {
	sizes := flag.String("sizes", "1000,100000,1000000,10000000", "numbers of keys, ascending")
	engines := flag.String("engines", "sqlite,postgres", "what holds them")
	temp := flag.String("dir", "", "folder with room for the data (25 GB for ten million keys); the system's for temporary files unless given")
	quick := flag.Bool("quick", false, "up to 100,000 keys")
	programs := flag.String("programs", "", "folder that holds a viva built before; it is built unless given")
	out := flag.String("out", ".", "folder of RESULTS-scale.md")
	flag.Parse()
	r := run{engines: strings.Split(*engines, ","), began: time.Now()}
	if *quick {
		*sizes = "1000,10000,100000"
	}
	if r.sizes, err = parseSizes(*sizes); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp(*temp, "viva-bench-scale-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if err := os.Chmod(r.dir, 0o711); err != nil { // PostgreSQL, as another user, has a folder in it
		return err
	}
	if r.programs = *programs; r.programs == "" {
		if err := r.build(ctx); err != nil {
			return err
		}
	}
	var results []result
	for _, engine := range r.engines {
		got, err := r.engine(ctx, engine)
		results = append(results, got...)
		// What was measured before a failure is worth as much.
		if err := errors.Join(err, write(*out, results)); err != nil {
			return fmt.Errorf("%s: %w", engine, err)
		}
	}
	return nil
}

func (r *run) build(ctx context.Context) error {
	r.programs = filepath.Join(r.dir, "bin")
	r.log("building the service")
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/viva/rate-limiter").Output()
	if err != nil {
		return fmt.Errorf("find the service's source: %w", err)
	}
	return servers.BuildViva(ctx, strings.TrimSpace(string(root)), r.programs)
}

func parseSizes(text string) (sizes []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1000 {
			return nil, fmt.Errorf("-sizes: %q must be a number from 1000 on", part)
		}
		sizes = append(sizes, n)
	}
	if !slices.IsSorted(sizes) {
		return nil, errors.New("-sizes must be ascending")
	}
	return sizes, nil
}

func (r *run) log(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6s  %s\n", time.Since(r.began).Round(time.Second), fmt.Sprintf(format, args...))
}

// engine grows one database through all sizes, and measures it at each.
func (r *run) engine(ctx context.Context, engine string) (results []result, err error) {
	s := &subject{run: r, engine: engine, dir: filepath.Join(r.dir, engine)}
	if err := os.MkdirAll(s.dir, 0o711); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop(), os.RemoveAll(s.dir)) }()
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	loaded := 0
	for _, size := range r.sizes {
		r.log("%s: growing from %d to %d keys", engine, loaded, size)
		got := result{engine: engine, keys: size}
		if err := s.load(ctx, loaded, size, &got); err != nil {
			return results, fmt.Errorf("load %d keys: %w", size, err)
		}
		loaded = size
		r.log("%s: %.0f keys a second; measuring %d keys", engine, got.rate, size)
		if err := s.measure(ctx, size, &got); err != nil {
			return results, fmt.Errorf("measure %d keys: %w", size, err)
		}
		results = append(results, got)
	}
	return results, nil
}
