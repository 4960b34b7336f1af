package controllers

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

type sample struct {
	Name  string            `json:"name" minLength:"2" maxLength:"4"`
	Count int64             `json:"count,omitzero" minimum:"-2" maximum:"9"`
	Big   int64             `json:"big,omitzero"`
	Kind  string            `json:"kind,omitzero" enum:"a,b"`
	Hex   string            `json:"hex,omitzero" pattern:"^[0-9a-f]+$" patternDescription:"hexadecimal"`
	On    *bool             `json:"on,omitempty"`
	Inner []sampleInner     `json:"inner,omitempty" minItems:"1" maxItems:"2"`
	Meta  map[string]string `json:"meta,omitempty"`
	Maybe nullable[int]     `json:"maybe,omitzero" minimum:"1"`
	Until *time.Time        `json:"until,omitempty"`
	For   duration          `json:"for,omitzero"`
	Share float64           `json:"share,omitzero" minimum:"0.5" maximum:"100"`
	Any   float64           `json:"any,omitzero"`
}

type sampleInner struct {
	At   string `json:"at" format:"date-time"`
	Wait string `json:"wait,omitzero" format:"go-duration"`
}

func TestASchemaIsCheckedFieldByField(t *testing.T) {
	settleHuma()
	registry := newRegistry()
	schema := registry.Schema(reflect.TypeFor[sample](), true, "")
	tests := []struct {
		body string
		want []string // "field: detail"; none where it is taken
	}{
		{`{"name":"äöüß","count":-2,"big":-9007199254740991,"kind":"a","hex":"0f","on":false,"meta":{"a":"b"},"maybe":null}`, nil},
		{`{"name":"ab","inner":[{"at":"2026-01-31T09:30:00.123456+02:00","wait":"1h30m"}],"maybe":1}`, nil},
		{`{}`, []string{"name: is required"}},
		{`{"name":"ab","share":0.5,"any":-1.25e3}`, nil},
		{`{"name":"ab","share":0.49,"any":1e999}`, []string{"share: must be a number from 0.5 to 100", "any: must be a number of at most 64 bits"}},
		{`{"name":"ab","share":"1"}`, []string{"share: must be a number"}},
		{`{"name":"a"}`, []string{"name: must be 2 to 4 characters"}},
		{`{"name":"abcde","count":10}`, []string{"name: must be 2 to 4 characters", "count: must be an integer from -2 to 9, written in digits"}},
		{`{"name":"ab","big":9007199254740992}`, []string{"big: must be an integer from -9007199254740991 to 9007199254740991, written in digits"}},
		{`{"name":"ab","count":1.0}`, []string{"count: must be an integer from -2 to 9, written in digits"}},
		{`{"name":"ab","count":null,"maybe":"x"}`, []string{"count: must be an integer", "maybe: must be an integer or null"}},
		{`{"name":"ab","kind":"c","hex":"g","on":0}`, []string{"kind: must be one of: a, b", "hex: must be hexadecimal", "on: must be true or false"}},
		{`{"name":"ab","inner":[]}`, []string{"inner: must hold 1 to 2 elements"}},
		{`{"name":"ab","inner":[{},{"at":"yesterday","wait":"1 h"}]}`, []string{
			"inner[0].at: is required",
			`inner[1].at: must be a time as RFC 3339 writes it, such as "2026-01-31T09:30:00Z"`,
			`inner[1].wait: must be a duration such as "30s" or "1h30m"`,
		}},
		{`{"name":"ab","meta":{"a":1,"b\u0000":"x"}}`, []string{"meta.a: must be a string", "meta.b: must not hold control characters in its name"}},
		{`{"Name":"ab"}`, []string{`Name: is not known here: it is written "name"`, "name: is required"}},
		{`{"name":"ab","` + strings.Repeat("é", 70) + `":1}`, []string{strings.Repeat("é", 64) + "…: is not known here"}},
		{`{"name":"a\tb","":1}`, []string{"name: must not hold control characters", `"": is not known here`}},
		{`"x"`, []string{"body: must be an object"}},
		{`{"name":"ab","name":"cd"}`, []string{"name: must not be there twice"}},
		{`{"name":"ab","meta":{"a":"b","a":"c"}}`, []string{"meta.a: must not be there twice"}},
		{`{"name":"ab","\u006eame":"cd"}`, []string{"name: must not be there twice"}},
		{`{"name":"ab","inner":[{"at":}]}`, []string{"inner[0].at: must be JSON: it is not from byte 28 on"}},
		{`{"name":"ab"`, []string{"body: must be complete JSON: it ends too early"}},
		{`{"name":"ab"} {}`, []string{"body: must be one JSON value, and nothing after it"}},
		{"{\"name\":\"\xff\"}", []string{"name: must be valid UTF-8"}},
		{``, []string{"body: must be complete JSON: it ends too early"}},
	}
	for _, test := range tests {
		var got []string
		for _, f := range fieldsOf(checkJSON(registry, schema, []byte(test.body))) {
			require.Equal(t, apierror.Body, f.In)
			got = append(got, f.Name+": "+f.Detail)
		}
		require.Equal(t, test.want, got, test.body)
	}
}

// FuzzCheckJSON checks that what the schema takes can be decoded, and that no
// bytes make the check fail otherwise than by an error.
func FuzzCheckJSON(f *testing.F) {
	settleHuma()
	registry := newRegistry()
	schema := registry.Schema(reflect.TypeFor[sample](), true, "")
	f.Add([]byte(`{"name":"ab","count":1,"inner":[{"at":"2026-01-31T09:30:00Z"}],"meta":{"a":"b"},"maybe":null,"on":true}`))
	f.Add([]byte(`{"name":"ab","count":1,"big":-0,"until":"2026-01-31T09:30:00,5Z","for":"1h"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := checkJSON(registry, schema, data); err != nil {
			_, ours := apierror.As(err)
			require.True(t, ours)
			return
		}
		var v sample
		require.NoError(t, readJSON(data, &v))
	})
}

func TestEverySchemaOfABodyCanBeChecked(t *testing.T) {
	for _, schemaType := range []string{huma.TypeString, huma.TypeInteger, huma.TypeNumber, huma.TypeBoolean, huma.TypeArray, huma.TypeObject} {
		require.NotPanics(t, func() { kindOf(schemaType) })
	}
	require.Panics(t, func() { kindOf("null") })
}
