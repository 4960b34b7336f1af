// Package cli is the command line: Cobra commands over the composition root
// and the HTTP client.
//
// Floor F5. It may import app, config, services, models and the packages of pkg;
// what it says to a running service goes through pkg/client.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/internal/config"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the command line or the configuration is wrong
)

// usageError is a mistake of the caller: it exits with exitUsage.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Run executes the viva command with its arguments and returns its exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "viva",
		Short: "API keys, rate limits, usage and bills in one service",
		Long: "Viva answers one question, exactly and fast: may the holder of this key make this call now?\n\n" +
			"Start with `viva serve`: it needs no configuration, no database and no Redis.",
	}
	root.AddCommand(
		serveCommand(), processCommand(config.RoleAPI), processCommand(config.RoleWorker),
		migrateCommand(), tokensCommand(), journalCommand(), doctorCommand(), configCommand(), healthCommand(), versionCommand(),
	)
	root.AddCommand(remoteCommands()...)
	refuseUnknown(root)
	return execute(ctx, root, args, stdin, stdout, stderr)
}

// RunProcess executes cmd/api or cmd/worker, which are `viva api` and `viva worker` as programs of their own, and
// returns its exit code.
func RunProcess(ctx context.Context, role config.Role, args []string, stdout, stderr io.Writer) int {
	return execute(ctx, processCommand(role), args, nil, stdout, stderr)
}

func execute(ctx context.Context, root *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root.SilenceUsage, root.SilenceErrors = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().String("config", "", "configuration `file` (default $VIVA_CONFIG, or none)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "%s: %v\n", root.Name(), err)
	if usage, mistake := (usageError{}), (*config.Error)(nil); errors.As(err, &usage) || errors.As(err, &mistake) {
		return exitUsage
	}
	return exitFailed
}

// refuseUnknown makes commands that only hold others refuse one they do not
// hold, where Cobra would print help and succeed. What was given is not
// repeated: it may be a secret in the wrong place.
func refuseUnknown(cmd *cobra.Command) {
	for _, held := range cmd.Commands() {
		refuseUnknown(held)
	}
	if cmd.Runnable() {
		return
	}
	cmd.Args, cmd.DisableFlagsInUseLine, cmd.SuggestionsMinimumDistance = cobra.ArbitraryArgs, true, 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usageError{fmt.Errorf("unknown command: did you mean %s?", strings.Join(near, " or "))}
		}
		return usageError{fmt.Errorf("unknown command: %s --help lists them", cmd.CommandPath())}
	}
}

// loadConfig reads the configuration a command runs with.
func loadConfig(cmd *cobra.Command, role config.Role) (*config.Config, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(config.Options{File: file, Role: role})
	if err != nil {
		return nil, fmt.Errorf("configuration:\n%w", err)
	}
	return cfg, nil
}
