// Command viva is the service in one binary: it serves the API and runs the
// jobs, migrates the database, and administers keys, owners, plans and tokens.
//
// Floor F6: signals and the exit code, nothing else.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/viva/rate-limiter/internal/cli"
)

func main() {
	// The first signal asks for an orderly end; after it, a second one kills.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
