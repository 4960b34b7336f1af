package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/internal/app"
	"github.com/viva/rate-limiter/internal/config"
)

func serveCommand() *cobra.Command {
	cmd := processCommand(config.RoleServe)
	cmd.Use = "serve"
	cmd.Short = "Serve the API and run the jobs, in one process"
	cmd.Long = "With no configuration at all, keys are kept in a SQLite file in ./data and limits in memory.\n" +
		"Set VIVA_DATABASE_URL and VIVA_REDIS_URL to keep them in PostgreSQL and Redis."
	return cmd
}

func processCommand(role config.Role) *cobra.Command {
	return &cobra.Command{
		Use:   string(role),
		Short: "Run the " + string(role) + " process until it is told to stop",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd, role)
			if err != nil {
				return err
			}
			// Before anything takes long: unheeded, the signal would end the process.
			debug := make(chan os.Signal, 1)
			signal.Notify(debug, syscall.SIGUSR2)
			defer signal.Stop(debug)
			a, err := app.New(cmd.Context(), cfg, app.Options{Role: role, Log: cmd.ErrOrStderr(), Version: version()})
			if err != nil {
				return err
			}
			if err := a.Start(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), a.Greeting())
			err = untilEnd(cmd.Context(), a, debug)
			// What was taken is finished even though the context has ended.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), cfg.Server.ShutdownTimeout+cfg.Queue.ShutdownTimeout+5*time.Second)
			defer cancel()
			return errors.Join(err, a.Stop(ctx))
		},
	}
}

// untilEnd waits until the process is told to stop, or a part of it has failed.
func untilEnd(ctx context.Context, a *app.App, debug <-chan os.Signal) error {
	for {
		select {
		case <-debug:
			a.ToggleDebug()
		case <-ctx.Done():
			return nil
		case err := <-a.Failed():
			return err
		}
	}
}
