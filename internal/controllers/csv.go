package controllers

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// table is a list that can be written as CSV.
type table interface {
	columns() []string
	rows(yield func(row any) bool)
}

func (l list[T]) columns() []string {
	t := reflect.TypeFor[T]()
	names := make([]string, 0, t.NumField())
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.Anonymous && name != "" {
			names = append(names, name)
		}
	}
	return names
}

func (l list[T]) rows(yield func(any) bool) {
	for i := range l.Data {
		if !yield(&l.Data[i]) {
			return
		}
	}
}

// encodeCSV writes a list as RFC 4180 has it: a header row, lines ended by
// CRLF. Cells are the members of the JSON answer.
func encodeCSV(v any) ([]byte, error) {
	t, ok := v.(table)
	if !ok {
		return nil, fmt.Errorf("%T has no CSV form", v)
	}
	columns := t.columns()
	lines := [][]string{columns}
	for row := range t.rows {
		cells, err := csvCells(row, columns)
		if err != nil {
			return nil, err
		}
		lines = append(lines, cells)
	}
	var data bytes.Buffer
	w := csv.NewWriter(&data)
	w.UseCRLF = true
	if err := w.WriteAll(lines); err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

func csvCells(row any, columns []string) ([]string, error) {
	data, err := encodeJSON(row)
	if err != nil {
		return nil, err
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	cells := make([]string, len(columns))
	for i, name := range columns {
		if cells[i], err = csvCell(members[name]); err != nil {
			return nil, err
		}
	}
	return cells, nil
}

// csvCell is the text of a string, nothing for null, else the JSON. A text
// that a spreadsheet would take for a formula gets an apostrophe before it.
func csvCell(value jsontext.Value) (string, error) {
	switch value.Kind() {
	case jsontext.KindNull, jsontext.KindInvalid:
		return "", nil
	case jsontext.KindString:
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return "", err
		}
		if text != "" && strings.IndexByte("=+-@\t\r", text[0]) >= 0 {
			text = "'" + text
		}
		return text, nil
	default:
		return string(value), nil
	}
}
