package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func keysRotate() *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use: "rotate ID", Short: "Give a key a new secret and print it, this once", Args: oneArg("ID"),
		Example: "  viva keys rotate 0198c0de-… --grace 24h",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			key, err := c.Keys.Rotate(cmd.Context(), args[0], grace)
			if err != nil {
				return err
			}
			return printSecret(cmd, key, "rotated %s (%s)", key.Name, key.ID)
		}),
	}
	cmd.Flags().DurationVar(&grace, "grace", 0, "how long the present secrets go on working, up to 720h")
	return cmd
}

// keyAction is a command that does one thing to a key and says so.
func keyAction(use, short, verb string, do func(ctx context.Context, c *client.Client, id string) (*client.Key, error)) *cobra.Command {
	return &cobra.Command{
		Use: use + " ID", Short: short, Args: oneArg("ID"),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			key, err := do(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return printDone(cmd, key, "%s %s (%s)", verb, key.Name, key.ID)
		}),
	}
}

func keysRevoke() *cobra.Command {
	return keyAction("revoke", "Refuse a key for ever", "revoked",
		func(ctx context.Context, c *client.Client, id string) (*client.Key, error) {
			return c.Keys.Revoke(ctx, id)
		})
}

func keysActivate() *cobra.Command {
	return keyAction("activate", "End a key's suspension", "activated",
		func(ctx context.Context, c *client.Client, id string) (*client.Key, error) {
			return c.Keys.Activate(ctx, id)
		})
}

func keysSuspend() *cobra.Command {
	var (
		until  instant
		reason string
	)
	cmd := keyAction("suspend", "Refuse a key for a time, or until it is activated", "suspended",
		func(ctx context.Context, c *client.Client, id string) (*client.Key, error) {
			return c.Keys.Suspend(ctx, id, until.at, reason)
		})
	cmd.Example = "  viva keys suspend 0198c0de-… --until 2h --reason 'runaway client'"
	cmd.Flags().Var(&until, "until", "when it works again: a time, or a duration from now such as 2h")
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	return cmd
}

func keysResetLimits() *cobra.Command {
	return &cobra.Command{
		Use: "reset-limits ID", Short: "Forget what was counted against a key", Args: oneArg("ID"),
		Long: "What its owner's keys count together stays.",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := c.Keys.ResetLimits(cmd.Context(), args[0]); err != nil {
				return err
			}
			return printGone(cmd, "reset the limits of %s", args[0])
		}),
	}
}

func keysErase() *cobra.Command {
	return deletion("erase ID", "Erase a key for ever; revoke it instead to keep it visible", "Erase key %s for ever?", "erased %s",
		func(ctx context.Context, c *client.Client, id string) error { return c.Keys.Erase(ctx, id) })
}
