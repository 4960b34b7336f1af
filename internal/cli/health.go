package cli

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/viva/rate-limiter/pkg/client"
)

// healthTimeout is longer than the service waits for what it depends on.
const healthTimeout = 5 * time.Second

func healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "health", Short: "Tell whether a process is ready, and what it depends on; exits with 1 where not", Args: noArgs,
		Long:    "It needs no access token. --url is another name for --server.",
		Example: "  viva health\n  viva health --url http://127.0.0.1:8081   # a worker",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := connect(cmd, client.WithTimeout(healthTimeout))
			if err != nil {
				return err
			}
			defer c.CloseIdleConnections()
			ready, err := c.Ready(cmd.Context())
			if err != nil {
				return explain(cmd, err)
			}
			return printReadiness(cmd, ready)
		},
	}
	addServerFlags(cmd)
	cmd.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "url" {
			name = "server"
		}
		return pflag.NormalizedName(name)
	})
	return cmd
}

func printReadiness(cmd *cobra.Command, r *client.Readiness) error {
	if inJSON(cmd) {
		if err := writeJSON(cmd.OutOrStdout(), r); err != nil {
			return err
		}
	} else {
		w := newTable(cmd.OutOrStdout())
		fmt.Fprintln(w, "DEPENDENCY\tSTATUS\tMILLISECONDS")
		for _, d := range r.Dependencies {
			fmt.Fprintf(w, "%s\t%s\t%s\n", visible(d.Name), visible(string(d.Status)), strconv.FormatInt(d.LatencyMS, 10))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if r.Status != client.Up {
		return errors.New("not ready")
	}
	return nil
}
