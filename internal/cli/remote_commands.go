package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

// description is a command that reads one thing and describes it. The use names
// its argument.
func description[T any](use, short string, columns []column[T], get func(ctx context.Context, c *client.Client, ref string) (*T, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: oneArg(argOf(use)),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			v, err := get(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return printOne(cmd, v, columns)
		}),
	}
}

// deletion is a command that takes something away, once that is confirmed. The
// question and what is said when it is done name it by %s.
func deletion(use, short, question, done string, do func(ctx context.Context, c *client.Client, ref string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: oneArg(argOf(use)),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := confirm(cmd, fmt.Sprintf(question, args[0])); err != nil {
				return err
			}
			if err := do(cmd.Context(), c, args[0]); err != nil {
				return err
			}
			return printGone(cmd, done, args[0])
		}),
	}
	addYesFlag(cmd)
	return cmd
}

func argOf(use string) string {
	_, arg, _ := strings.Cut(use, " ")
	return arg
}
