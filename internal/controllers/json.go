package controllers

import (
	"io"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
)

// Media types.
const (
	mediaJSON       = "application/json"
	mediaMergePatch = "application/merge-patch+json"
	mediaCSV        = "text/csv"
)

// jsonOptions writes answers: empty lists and objects instead of null, and
// the members of objects in a fixed order.
var jsonOptions = json.JoinOptions(json.Deterministic(true))

// formats are what bodies are read from and written to. Huma looks for the
// part behind the plus sign of a media type.
var formats = map[string]huma.Format{
	mediaJSON: {Marshal: write(encodeJSON), Unmarshal: readJSON},
	"json":    {Marshal: write(encodeJSON), Unmarshal: readJSON},
	mediaCSV:  {Marshal: write(encodeCSV)},
}

// readJSON decodes what the gate has let through.
func readJSON(data []byte, v any) error { return json.Unmarshal(data, v) }

func encodeJSON(v any) ([]byte, error) { return json.Marshal(v, jsonOptions) }

// write sends a whole encoded answer, or nothing where encoding fails. Errors
// that are recorded are answered by others.
func write(encode func(any) ([]byte, error)) func(io.Writer, any) error {
	return func(w io.Writer, v any) error {
		if _, ok := v.(recorded); ok {
			return nil
		}
		data, err := encode(v)
		if err != nil {
			return err
		}
		// What fails now is the connection, and Huma would panic.
		_, _ = w.Write(data)
		return nil
	}
}
