package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

var logLevelColumns = []column[client.LogLevel]{
	{"node", func(l *client.LogLevel) string { return l.Node }},
	{"level", func(l *client.LogLevel) string { return l.Level }},
	{"configured", func(l *client.LogLevel) string { return l.Configured }},
	{"until", func(l *client.LogLevel) string { return stamp(l.Until) }},
}

func logLevelCommand() *cobra.Command {
	var lasts time.Duration
	cmd := &cobra.Command{
		Use: "log-level [LEVEL]", Short: "Tell how much a running process logs, or change it: debug, info, warn or error",
		Long: "Asks the process that answers at the server's address; no other one changes.\n" +
			"A process of any kind, a worker too, also takes the signal SIGUSR2: it turns debug on, and off again.",
		Example: "  viva log-level debug --for 10m",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("wants LEVEL, or nothing to tell the present one")}
			}
			return nil
		},
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if len(args) == 0 && cmd.Flags().Changed("for") {
				return usageError{errors.New("--for wants a LEVEL to change to")}
			}
			var (
				state *client.LogLevel
				err   error
			)
			if len(args) == 0 {
				state, err = c.LogLevel(cmd.Context())
			} else {
				state, err = c.SetLogLevel(cmd.Context(), args[0], lasts)
			}
			if err != nil {
				return err
			}
			return printOne(cmd, state, logLevelColumns)
		}),
	}
	cmd.Flags().DurationVar(&lasts, "for", 0, "how `long` until the configured level is back, such as 10m; as long as the process runs unless given")
	return cmd
}
