package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/client"
)

// importRow is one key to import, as it is written down. Its secret is given as
// a hash or, with --plain, as it is.
type importRow struct {
	client.NewKey
	Hash   string `json:"hash,omitempty"`
	Secret string `json:"secret,omitempty"`
	Mask   string `json:"mask,omitempty"`

	line int
}

// importRows reads rows as JSON lines or, where the first character begins no
// JSON object, as CSV with a header line. An error is the last thing it yields,
// and repeats no value: it might be a secret.
func importRows(in io.Reader) iter.Seq2[*importRow, error] {
	buffered := bufio.NewReaderSize(in, maxImportLine)
	for {
		first, err := buffered.Peek(1)
		if err != nil || len(bytes.TrimSpace(first)) > 0 {
			break
		}
		_, _ = buffered.Discard(1) // it is there: it was seen
	}
	if first, err := buffered.Peek(1); err == nil && first[0] == '{' {
		return jsonRows(buffered)
	}
	return csvRows(buffered)
}

// maxImportLine is longer than a key with all that it may have.
const maxImportLine = 1 << 20

func jsonRows(in io.Reader) iter.Seq2[*importRow, error] {
	return func(yield func(*importRow, error) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxImportLine)
		n := 0
		for lines.Scan() {
			n++
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			row := &importRow{line: n}
			if err := decode(lines.Bytes(), row); err != nil {
				yield(nil, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, fmt.Errorf("line %d: %w", n+1, err))
		}
	}
}

func csvRows(in io.Reader) iter.Seq2[*importRow, error] {
	return func(yield func(*importRow, error) bool) {
		r := csv.NewReader(in)
		r.ReuseRecord = true
		header, err := csvHeader(r)
		if err != nil {
			yield(nil, err)
			return
		}
		for {
			record, err := r.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, csvMistake(err))
				return
			}
			line, _ := r.FieldPos(0)
			row, err := csvRow(header, record)
			if err != nil {
				yield(nil, fmt.Errorf("line %d: %w", line, err))
				return
			}
			row.line = line
			if !yield(row, nil) {
				return
			}
		}
	}
}

func csvMistake(err error) error {
	if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
		return fmt.Errorf("line %d: %w", wrong.Line, wrong.Err)
	}
	return err
}

// csvColumns is how each column is understood.
var csvColumns = map[string]func(row *importRow, cell string) error{
	"hash":        func(row *importRow, cell string) error { row.Hash = cell; return nil },
	"secret":      func(row *importRow, cell string) error { row.Secret = cell; return nil },
	"mask":        func(row *importRow, cell string) error { row.Mask = cell; return nil },
	"name":        func(row *importRow, cell string) error { row.Name = cell; return nil },
	"owner":       func(row *importRow, cell string) error { row.Owner = cell; return nil },
	"plan":        func(row *importRow, cell string) error { row.Plan = cell; return nil },
	"keyspace":    func(row *importRow, cell string) error { row.Keyspace = cell; return nil },
	"environment": func(row *importRow, cell string) error { row.Environment = apikey.Environment(cell); return nil },
	"permissions": func(row *importRow, cell string) error { row.Permissions = strings.Fields(cell); return nil },
	"tags":        func(row *importRow, cell string) error { row.Tags = strings.Fields(cell); return nil },
	"expires_at": func(row *importRow, cell string) error {
		at, err := time.Parse(time.RFC3339, cell)
		if err != nil {
			return errors.New("must be a time such as 2027-01-31T00:00:00Z")
		}
		row.ExpiresAt = &at
		return nil
	},
}

// metadataColumn begins the name of a column that holds a member of metadata.
const metadataColumn = "metadata."

func csvHeader(r *csv.Reader) ([]string, error) {
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("there is nothing to import")
	}
	if err != nil {
		return nil, csvMistake(err)
	}
	header = slices.Clone(header)
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // spreadsheets write one
	for i, name := range header {
		if csvColumns[name] == nil && !strings.HasPrefix(name, metadataColumn) {
			return nil, fmt.Errorf("line 1: column %d must be named one of: %s, %sNAME", i+1, words(slices.Sorted(maps.Keys(csvColumns))), metadataColumn)
		}
		if slices.Contains(header[:i], name) {
			return nil, fmt.Errorf("line 1: column %d has the name of another", i+1)
		}
	}
	return header, nil
}

func csvRow(header, record []string) (*importRow, error) {
	row := &importRow{}
	for i, cell := range record {
		if cell == "" {
			continue
		}
		if name, ok := strings.CutPrefix(header[i], metadataColumn); ok {
			if row.Metadata == nil {
				row.Metadata = map[string]string{}
			}
			row.Metadata[name] = cell
			continue
		}
		if err := csvColumns[header[i]](row, cell); err != nil {
			return nil, fmt.Errorf("%s: %w", header[i], err)
		}
	}
	return row, nil
}

// key is the key that the API is asked to import. A plain secret is hashed here:
// it never leaves this machine.
func (row *importRow) key(plain bool) (*client.NewKey, apikey.Hash, error) {
	key := row.NewKey
	if key.Import == nil {
		key.Import = &client.Import{Hash: row.Hash, Mask: row.Mask}
	}
	switch {
	case !plain && row.Secret != "":
		return nil, apikey.Hash{}, errors.New("it holds a secret as it is: --plain hashes it before it is sent")
	case plain && row.Secret == "":
		return nil, apikey.Hash{}, errors.New("with --plain, it must hold a secret")
	case plain && !apikey.Opaque(row.Secret):
		return nil, apikey.Hash{}, errors.New("a secret must be 16 to 512 visible ASCII characters")
	case plain && apikey.ValidToken(row.Secret):
		return nil, apikey.Hash{}, errors.New("what is there as a secret is an access token")
	case plain:
		key.Import.Hash = apikey.Sum(row.Secret).String()
		if key.Import.Mask == "" {
			key.Import.Mask = apikey.Mask(row.Secret)
		}
	}
	hash, err := apikey.ParseHash(key.Import.Hash)
	if err != nil {
		return nil, apikey.Hash{}, errors.New("its hash must be the SHA-256 of the secret, in 64 hexadecimal digits")
	}
	key.Import.Hash = hash.String()
	return &key, hash, nil
}
