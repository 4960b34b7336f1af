// Command api serves the HTTP API, one of any number of such processes over
// one PostgreSQL and one Redis.
//
// Floor F6: signals and the exit code, nothing else.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/viva/rate-limiter/internal/cli"
	"github.com/viva/rate-limiter/internal/config"
)

func main() {
	// The first signal asks for an orderly end; after it, a second one kills.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.RunProcess(ctx, config.RoleAPI, os.Args[1:], os.Stdout, os.Stderr))
}
