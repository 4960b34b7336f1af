package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

// privacyCommands are what is done with all that is stored about one key or
// owner.
func privacyCommands(noun, arg string,
	export func(ctx context.Context, c *client.Client, ref string) (io.ReadCloser, error),
	erase func(ctx context.Context, c *client.Client, ref string) (*client.Erased, error),
) []*cobra.Command {
	return []*cobra.Command{exportCommand(noun, arg, export), eraseDataCommand(noun, arg, erase)}
}

func keysPrivacy() []*cobra.Command {
	return privacyCommands("key", "ID",
		func(ctx context.Context, c *client.Client, id string) (io.ReadCloser, error) {
			return c.ExportKey(ctx, id)
		},
		func(ctx context.Context, c *client.Client, id string) (*client.Erased, error) {
			return c.EraseKeyData(ctx, id)
		})
}

func ownersPrivacy() []*cobra.Command {
	return privacyCommands("owner", "OWNER",
		func(ctx context.Context, c *client.Client, ref string) (io.ReadCloser, error) {
			return c.ExportOwner(ctx, ref)
		},
		func(ctx context.Context, c *client.Client, ref string) (*client.Erased, error) {
			return c.EraseOwnerData(ctx, ref)
		})
}

func exportCommand(noun, arg string, export func(ctx context.Context, c *client.Client, ref string) (io.ReadCloser, error)) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "export " + arg, Short: "Write everything that is stored about one " + noun + ", one JSON object a line", Args: oneArg(arg),
		Long: "The last line tells how many there are. An export that is cut off fails, and leaves no file.",
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			lines, err := export(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			defer lines.Close()
			if path == "" {
				_, err := io.Copy(cmd.OutOrStdout(), lines)
				return err
			}
			return writeWhole(path, lines)
		}),
	}
	// It stands in place of the form of the answer, of which there is one.
	cmd.Flags().StringVarP(&path, "output", "o", "", "`file` to write to, for its owner alone (default the standard output)")
	return cmd
}

// writeWhole makes a file that is there only when it is whole.
func writeWhole(path string, from io.Reader) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".viva-export-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = io.Copy(file, from)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func eraseDataCommand(noun, arg string, erase func(ctx context.Context, c *client.Client, ref string) (*client.Erased, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: "erase-personal-data " + arg, Short: "Empty what is personal of one " + noun + ", for ever; what was counted stays", Args: oneArg(arg),
		RunE: remote(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := confirm(cmd, fmt.Sprintf("Erase the personal data of %s %s for ever?", noun, args[0])); err != nil {
				return err
			}
			n, err := erase(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return printDone(cmd, n, "erased the personal data of %s %s: %d logs, %d violations, %d entries of the audit log",
				noun, args[0], n.Logs, n.Violations, n.AuditLogs)
		}),
	}
	addYesFlag(cmd)
	return cmd
}
