package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/viva/rate-limiter/pkg/client"
)

// A window is what is read ahead: keys that are imported in the order of their
// hashes touch fewer pages of the index of hashes, which is what a large import
// would otherwise spend its time on.
const (
	windowKeys  = 1 << 20
	windowBytes = 256 << 20
	maxParallel = 16
)

// importer imports keys in batches, a window after the other.
type importer struct {
	keys     client.Keys
	plain    bool
	parallel int
	standard client.NewKey // what rows have that do not say otherwise
	progress *importProgress

	window []importKey
	text   []byte // of the keys of the window, as they are sent
}

func (i *importer) run(ctx context.Context) error {
	for row, err := range importRows(i.progress) {
		if err != nil {
			return err
		}
		if err := i.add(row); err != nil {
			return err
		}
		if len(i.window) == windowKeys || len(i.text) >= windowBytes {
			if err := i.flush(ctx); err != nil {
				return err
			}
		}
	}
	return i.flush(ctx)
}

// add puts a row into the window.
func (i *importer) add(row *importRow) error {
	if row.Plan == "" && row.Owner == "" {
		row.Plan = i.standard.Plan
	}
	if row.Owner == "" {
		row.Owner = i.standard.Owner
	}
	if row.Keyspace == "" {
		row.Keyspace = i.standard.Keyspace
	}
	key, hash, err := row.key(i.plain)
	if err != nil {
		return fmt.Errorf("line %d: %w", row.line, err)
	}
	data, err := json.Marshal(key)
	if err != nil {
		return err
	}
	begin := len(i.text)
	i.text = append(i.text, data...)
	i.window = append(i.window, importKey{hash: hash, line: row.line, begin: begin, end: len(i.text)})
	i.progress.add()
	return nil
}

// flush imports the window. Batches under way when one fails are brought to their
// end.
func (i *importer) flush(ctx context.Context) error {
	slices.SortFunc(i.window, func(a, b importKey) int {
		return cmp.Or(bytes.Compare(a.hash[:], b.hash[:]), cmp.Compare(a.line, b.line))
	})
	for j := 1; j < len(i.window); j++ {
		if i.window[j].hash == i.window[j-1].hash {
			return fmt.Errorf("line %d: it is the secret of line %d again", i.window[j].line, i.window[j-1].line)
		}
	}
	var calls errgroup.Group
	calls.SetLimit(i.parallel)
	for left := i.window; len(left) > 0 && !i.progress.failed(); {
		n := nextBatch(left)
		batch := importBatch{keys: left[:n], text: i.text}
		left = left[n:]
		calls.Go(func() error {
			done, err := batch.send(ctx, i.keys)
			i.progress.count(done, err)
			return err
		})
	}
	err := calls.Wait()
	i.window, i.text = i.window[:0], i.text[:0]
	return err
}
