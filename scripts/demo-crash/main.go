// Command demo-crash shows that no answer is forgotten: it keeps `viva serve`
// busy, kills it several times amid its work, and then compares every check
// that was answered with what the service says it has counted.
//
// It needs the built program, `make bin/viva`, and nothing else; all it makes
// is in a temporary folder and gone afterwards. It exits with 1 if anything
// does not add up.
//
// Floor F6. It may import pkg/client and the standard library: what it knows of
// the service, any user does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/viva/rate-limiter/pkg/client"
)

const (
	kills   = 5
	clients = 6
	// One life of the service, from its first answer to its end.
	shortest, longest = 800 * time.Millisecond, 2500 * time.Millisecond
)

func main() {
	program := flag.String("viva", filepath.Join("bin", "viva"), "the program to kill")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := demonstrate(ctx, *program)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
		return
	case interrupted:
		fmt.Fprintln(os.Stderr, "\ninterrupted; everything is cleaned up")
	default:
		fmt.Fprintf(os.Stderr, "\ndemo-crash: %v\n", err)
	}
	os.Exit(1)
}

func demonstrate(ctx context.Context, program string) (err error) {
	folder, err := os.MkdirTemp("", "viva-demo-crash-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	server := &server{program: program, folder: folder}
	defer server.kill()
	if err := server.start(ctx); err != nil {
		return err
	}
	key, err := newKey(ctx, server)
	if err != nil {
		return err
	}
	fmt.Printf("viva serve works in %s; %d clients ask checks that cost 1 to 9 units each\n", folder, clients)

	load := begin(ctx, server, key.Secret)
	screen := newScreen()
	for n := range kills {
		life := shortest + rand.N(longest-shortest)
		if err := screen.watch(ctx, life, load, n); err != nil {
			load.end()
			return err
		}
		server.kill()
		if err := server.start(ctx); err != nil {
			load.end()
			return err
		}
	}
	err = screen.watch(ctx, shortest, load, kills)
	calls := load.end()
	if err != nil {
		return err
	}
	screen.end()
	fmt.Printf("killed with -9 %d times; now it is stopped in good order, and started to be asked\n\n", kills)
	if err := server.stop(); err != nil {
		return err
	}
	if err := server.start(ctx); err != nil {
		return err
	}
	counted, err := ask(ctx, server, key.ID)
	if err != nil {
		return err
	}
	return compare(calls, counted)
}

// newKey makes a key without any limit.
func newKey(ctx context.Context, s *server) (*client.CreatedKey, error) {
	viva, err := s.client()
	if err != nil {
		return nil, err
	}
	plan, err := viva.Plans.Create(ctx, client.NewPlan{Name: "unlimited"})
	if err != nil {
		return nil, err
	}
	return viva.Keys.Create(ctx, client.NewKey{Name: "demo", Plan: plan.ID})
}
