package cli

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/apierror"
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
			"Keys are imported a thousand at a time, all of them or none. The same command can be given again whatever\n" +
			"became of it: keys whose secret is there already stay as they are, and for 24 hours batches that were\n" +
			"imported are not imported again, even if their keys have been erased since.",
		Example: "  viva keys import --from keys.csv --owner cust_42\n" +
			"  viva keys import --from - --plain < secrets.jsonl",
		Args: noArgs,
		RunE: remote(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if from == "" {
				return usageError{errors.New("--from names the file to import, or - for the standard input")}
			}
			in, err := open(cmd, from)
			if err != nil {
				return err
			}
			defer in.Close()
			i.keys, i.standard, i.progress = c.Keys, standard, cmd.ErrOrStderr()
			if err := i.run(cmd.Context(), in); err != nil {
				return explained{fmt.Sprintf("%s\nuntil then: %s; the same command given again goes on from there", explain(cmd, err), i.done), err}
			}
			return printDone(cmd, &i.done, "%s", i.done)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "`file` of JSON lines or CSV; - reads the standard input")
	flags.BoolVar(&i.plain, "plain", false, "the secrets are there as they are")
	flags.StringVar(&standard.Owner, "owner", "", "`id` or external id of the owner of keys that name none")
	flags.StringVar(&standard.Plan, "plan", "", "`id` or name of the plan of keys that name neither plan nor owner")
	flags.StringVar(&standard.Keyspace, "keyspace", "", "`id` or name of the keyspace of keys that name none")
	return cmd
}

// imported counts keys.
type imported struct {
	Imported int `json:"imported"`
	Repeated int `json:"repeated"` // imported by the same call before, within 24 hours
	Existing int `json:"existing"`
}

func (n imported) String() string {
	text := fmt.Sprintf("%d keys imported", n.Imported)
	if n.Repeated > 0 {
		text += fmt.Sprintf(", %d by the same command before", n.Repeated)
	}
	if n.Existing > 0 {
		text += fmt.Sprintf(", %d there already", n.Existing)
	}
	return text
}

// importer imports keys in batches.
type importer struct {
	keys     client.Keys
	plain    bool
	standard client.NewKey // what rows have that do not say otherwise
	progress io.Writer

	batch []client.NewKey
	lines []int // of each key of the batch
	bytes int
	done  imported
}

// A batch is what one call takes: as many keys, and well below as many bytes.
const (
	batchKeys  = 1000
	batchBytes = 8 << 20
)

func (i *importer) run(ctx context.Context, in io.Reader) error {
	for row, err := range importRows(in) {
		if err != nil {
			return err
		}
		if err := i.add(ctx, row); err != nil {
			return err
		}
	}
	return i.flush(ctx)
}

// add puts a row into the batch, which is sent when it is full.
func (i *importer) add(ctx context.Context, row *importRow) error {
	if row.Plan == "" && row.Owner == "" {
		row.Plan = i.standard.Plan
	}
	if row.Owner == "" {
		row.Owner = i.standard.Owner
	}
	if row.Keyspace == "" {
		row.Keyspace = i.standard.Keyspace
	}
	key, err := row.key(i.plain)
	if err != nil {
		return fmt.Errorf("line %d: %w", row.line, err)
	}
	for j := range i.batch {
		if i.batch[j].Import.Hash == key.Import.Hash {
			return fmt.Errorf("line %d: it is the secret of line %d again", row.line, i.lines[j])
		}
	}
	n, err := size(key)
	if err != nil {
		return err
	}
	if len(i.batch) == batchKeys || i.bytes+n > batchBytes {
		if err := i.flush(ctx); err != nil {
			return err
		}
	}
	i.batch, i.lines, i.bytes = append(i.batch, *key), append(i.lines, row.line), i.bytes+n
	return nil
}

// flush imports the batch. The API refuses it as a whole where keys are there
// already: it is sent again without them.
func (i *importer) flush(ctx context.Context) error {
	for len(i.batch) > 0 {
		created, err := i.send(ctx)
		if err == nil {
			if created.Replayed {
				i.done.Repeated += len(i.batch)
			} else {
				i.done.Imported += len(i.batch)
			}
			break
		}
		existing, ok := existingKeys(err, len(i.batch))
		if !ok {
			return i.locate(err)
		}
		i.drop(existing)
	}
	i.batch, i.lines, i.bytes = i.batch[:0], i.lines[:0], 0
	fmt.Fprintln(i.progress, i.done)
	return nil
}

// send imports the batch under an Idempotency-Key of its content, so that giving
// the command again is giving the same call again.
func (i *importer) send(ctx context.Context) (*client.CreatedKeys, error) {
	content, err := json.Marshal(i.batch)
	if err != nil {
		return nil, err
	}
	return i.keys.CreateMany(ctx, i.batch, client.IdempotencyKey(fmt.Sprintf("import-%x", sha256.Sum256(content))))
}

func (i *importer) drop(existing map[int]bool) {
	kept := 0
	for j := range i.batch {
		if !existing[j] {
			i.batch[kept], i.lines[kept] = i.batch[j], i.lines[j]
			kept++
		}
	}
	i.batch, i.lines = i.batch[:kept], i.lines[:kept]
	i.done.Existing += len(existing)
}

// elementOfKeys is how the API names a field of a key in a batch.
var elementOfKeys = regexp.MustCompile(`^keys\[(\d+)\]\.?(.*)$`)

// element takes apart the name of a field of one of n keys.
func element(f apierror.Field, n int) (index int, name string, ok bool) {
	parts := elementOfKeys.FindStringSubmatch(f.Name)
	if parts == nil {
		return 0, "", false
	}
	index, err := strconv.Atoi(parts[1])
	return index, parts[2], err == nil && index < n
}

// existingKeys tells which keys of a batch the API knows, where that is all it
// has against them. Hashes were well-formed and distinct when they were sent, so
// being there already is what can be wrong with one.
func existingKeys(err error, n int) (map[int]bool, bool) {
	e, ok := apierror.As(err)
	if !ok || e.Code != apierror.CodeValidationFailed || len(e.Fields) == 0 {
		return nil, false
	}
	existing := map[int]bool{}
	for _, f := range e.Fields {
		index, name, ok := element(f, n)
		if !ok || name != "import.hash" {
			return nil, false
		}
		existing[index] = true
	}
	return existing, true
}

// locate names the lines that bad fields came from.
func (i *importer) locate(err error) error {
	e, ok := apierror.As(err)
	if !ok {
		return err
	}
	located := *e
	located.Fields = nil
	for _, f := range e.Fields {
		index, name, ok := element(f, len(i.batch))
		switch {
		case !ok:
			located.Fields = append(located.Fields, f)
		case name != "import.hash": // those that are there already are no mistake
			f.Name = fmt.Sprintf("line %d: %s", i.lines[index], name)
			located.Fields = append(located.Fields, f)
		}
	}
	return &located
}
