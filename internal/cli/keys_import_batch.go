package cli

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/client"
)

// A batch is what one call takes: as many keys, and well below as many bytes.
const (
	batchKeys  = 1000
	batchBytes = 8 << 20
)

// importKey is a key to import: where it stood, and the text of it in a window.
type importKey struct {
	hash       apikey.Hash
	line       int
	begin, end int
}

// importBatch is imported as a whole or not at all.
type importBatch struct {
	keys []importKey
	text []byte // of the window
}

// nextBatch is what of keys one call takes.
func nextBatch(keys []importKey) int {
	n, bytes := 0, 0
	for n < min(len(keys), batchKeys) {
		if bytes += keys[n].end - keys[n].begin; n > 0 && bytes > batchBytes {
			break
		}
		n++
	}
	return n
}

// attempts is how often a batch is sent that another call got in the way of.
const attempts = 3

// send imports the batch. The API refuses it as a whole where keys are there
// already: it is sent again without them.
func (b *importBatch) send(ctx context.Context, keys client.Keys) (done imported, err error) {
	for met := 0; len(b.keys) > 0; {
		created, err := b.call(ctx, keys)
		switch existing, ok := existingKeys(err, len(b.keys)); {
		case err == nil && created.Replayed:
			done.Repeated += len(b.keys)
			return done, nil
		case err == nil:
			done.Imported += len(b.keys)
			return done, nil
		case ok:
			done.Existing += len(existing)
			b.drop(existing)
		// Another import has stored one of the keys since this call looked for them.
		case errors.Is(err, apierror.CodeAlreadyExists) && met < attempts:
			met++
		default:
			return done, b.locate(err)
		}
	}
	return done, nil
}

// call sends the batch under an Idempotency-Key of its content, so that giving
// the command again is giving the same call again.
func (b *importBatch) call(ctx context.Context, keys client.Keys) (*client.CreatedKeys, error) {
	content, list := sha256.New(), make([]json.RawMessage, len(b.keys))
	for j, key := range b.keys {
		list[j] = b.text[key.begin:key.end]
		content.Write(list[j])
	}
	return keys.CreateEncoded(ctx, list, client.IdempotencyKey(fmt.Sprintf("import-%x", content.Sum(nil))), client.WithoutImported())
}

func (b *importBatch) drop(existing map[int]bool) {
	kept := make([]importKey, 0, len(b.keys))
	for j := range b.keys {
		if !existing[j] {
			kept = append(kept, b.keys[j])
		}
	}
	b.keys = kept
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
func (b *importBatch) locate(err error) error {
	e, ok := apierror.As(err)
	if !ok {
		return err
	}
	located := *e
	located.Fields = nil
	for _, f := range e.Fields {
		index, name, ok := element(f, len(b.keys))
		switch {
		case !ok:
			located.Fields = append(located.Fields, f)
		case name != "import.hash": // those that are there already are no mistake
			f.Name = fmt.Sprintf("line %d: %s", b.keys[index].line, name)
			located.Fields = append(located.Fields, f)
		}
	}
	return &located
}
