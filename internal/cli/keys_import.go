package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/client"
)

func keysImport() *cobra.Command {
	var (
		from     string
		i        importer
		standard client.NewKey
	)
	cmd := &cobra.Command{
		Use:   "import --from FILE",
		Short: "Import keys that were made elsewhere, by the hashes of their secrets",
		Long: "It reads JSON lines, each as `keys create --from` takes it with a member hash (the SHA-256 of the secret),\n" +
			"or CSV with a header line that names its columns: hash, name, mask, owner, plan, keyspace, environment,\n" +
			"expires_at, permissions, tags (words separated by spaces) and metadata.NAME.\n\n" +
			"With --plain there is a secret in place of each hash. It is hashed here, and only the hash is sent.\n\n" +
			"Keys are imported a thousand at a time, all of them or none; several such batches are under way at once. Up to a\n" +
			"million keys are read ahead and put in the order of their hashes, which databases store faster: that takes\n" +
			"about 700 MB of memory. The same command can be given again whatever\n" +
			"became of it: keys whose secret is there already stay as they are, and for 24 hours batches that were\n" +
			"imported are not imported again, even if their keys have been erased since.",
		Example: "  viva keys import --from keys.csv --owner cust_42\n" +
			"  viva keys import --from - --plain < secrets.jsonl",
		Args: noArgs,
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if from == "" {
				return usageError{errors.New("--from names the file to import, or - for the standard input")}
			}
			if i.parallel < 1 || i.parallel > maxParallel {
				return usageError{fmt.Errorf("--parallel must be from 1 to %d", maxParallel)}
			}
			in, err := open(cmd, from)
			if err != nil {
				return err
			}
			defer in.Close()
			i.keys, i.standard = c.Keys, standard
			i.progress = newImportProgress(cmd.ErrOrStderr(), in, time.Now)
			if err := i.run(cmd.Context()); err != nil {
				return explained{fmt.Sprintf("%s\nuntil then: %s; the same command given again goes on from there", explain(cmd, err), i.progress.done), err}
			}
			return printDone(cmd, &i.progress.done, "%s", i.progress.done)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "`file` of JSON lines or CSV; - reads the standard input")
	flags.IntVar(&i.parallel, "parallel", 4, "batches under way at once, 1 to 16")
	flags.BoolVar(&i.plain, "plain", false, "the secrets are there as they are")
	flags.StringVar(&standard.Owner, "owner", "", "`id` or external id of the owner of keys that name none")
	flags.StringVar(&standard.Plan, "plan", "", "`id` or name of the plan of keys that name neither plan nor owner")
	flags.StringVar(&standard.Keyspace, "keyspace", "", "`id` or name of the keyspace of keys that name none")
	return cmd
}
