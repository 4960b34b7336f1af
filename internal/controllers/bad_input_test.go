package controllers_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"
)

// canary stands for a value that must never come back.
const canary = "canary-f00d"

// operations calls fn for every operation of the API.
func (s *server) operations(fn func(method, path string, op *huma.Operation)) {
	for _, path := range slices.Sorted(maps.Keys(s.openAPI.Paths)) {
		item := s.openAPI.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete, item.Put} {
			if op != nil {
				target := strings.NewReplacer("{id}", "01a208ad-6ca0-7265-af96-7e11e6488491", "{number}", "1").Replace(path)
				fn(op.Method, target, op)
			}
		}
	}
}

// bodies calls fn for every operation that takes a body, with the schema of
// the body and a body that the schema takes.
func (s *server) bodies(fn func(method, target string, op *huma.Operation, schema *huma.Schema, valid map[string]any)) {
	s.operations(func(method, target string, op *huma.Operation) {
		if op.RequestBody != nil {
			schema := s.resolve(op.RequestBody.Content["application/json"].Schema)
			fn(method, target, op, schema, s.example(schema).(map[string]any))
		}
	})
}

func (s *server) resolve(schema *huma.Schema) *huma.Schema {
	for schema.Ref != "" {
		schema = s.openAPI.Components.Schemas.SchemaFromRef(schema.Ref)
	}
	return schema
}

// example makes the smallest value that the schema takes.
func (s *server) example(schema *huma.Schema) any {
	schema = s.resolve(schema)
	switch {
	case schema.Type == huma.TypeObject:
		object := map[string]any{}
		for _, name := range schema.Required {
			object[name] = s.example(schema.Properties[name])
		}
		return object
	case schema.Type == huma.TypeArray:
		return []any{s.example(schema.Items)}
	case schema.Type == huma.TypeInteger:
		return 1
	case schema.Pattern != "":
		return strings.Repeat("a", 64)
	default:
		return "x"
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

// refuses sends bad input and checks the answer: a problem of that status that
// names the field, or something inside it, and shows nothing of what was sent.
func (s *server) refuses(t *testing.T, status int, field, method, target, body string, headers ...string) {
	t.Helper()
	a := s.do(method, target, body, headers...)
	require.Equal(t, status, a.Code, "%s %s %.200s: %s", method, target, body, a.Body)
	_, fields := a.problem()
	named := slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, field) })
	require.True(t, named, "%s %s %.200s: no %q in %s", method, target, body, field, a.Body)
	require.NotContains(t, a.Body.String(), canary)
	require.NotRegexp(t, `(?i)select |insert |goroutine|\.go:|strconv|unmarshal`, a.Body.String())
}

func TestEveryBodyMustBeOneWellFormedObject(t *testing.T) {
	s := newServer(t)
	s.bodies(func(method, target string, op *huma.Operation, schema *huma.Schema, valid map[string]any) {
		good := encode(t, valid)
		if op.RequestBody.Required {
			s.refuses(t, 400, "body body", method, target, "")
		}
		s.refuses(t, 415, "header Content-Type", method, target, good, "Content-Type", "")
		s.refuses(t, 415, "header Content-Type", method, target, good, "Content-Type", "text/plain")
		s.refuses(t, 415, "header Content-Type", method, target, good, "Content-Type", "application/json; charset=latin1")
		for _, bad := range []string{"{", `{"a"`, `{"a":1,}`, "nul", good + "x", good + "{}", good + "\x00", `{'a':1}`, "\xff\xfe", `{"` + canary} {
			s.refuses(t, 400, "body ", method, target, bad)
		}
		for _, bad := range []string{"[]", "null", `"` + canary + `"`, "1", "true"} {
			s.refuses(t, 422, "body body", method, target, bad)
		}
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			twice := fmt.Sprintf(`{"%s":null,"%s":null}`, name, name)
			s.refuses(t, 400, "body "+name, method, target, twice)
			s.refuses(t, 400, "body "+name, method, target, `{"`+name+`":"`+canary+"\xff"+`"}`)
			s.refuses(t, 400, "body "+name, method, target, `{"`+name+`":"`+canary+`\ud800"}`)
		}
	})
}

func TestEveryBodyHoldsKnownMembersOfTheirType(t *testing.T) {
	s := newServer(t)
	s.bodies(func(method, target string, _ *huma.Operation, schema *huma.Schema, valid map[string]any) {
		with := func(name string, value any) string {
			body := maps.Clone(valid)
			body[name] = value
			return encode(t, body)
		}
		s.refuses(t, 422, "body surprise", method, target, with("surprise", canary))
		s.refuses(t, 422, "body "+strings.Repeat("n", 64)+"…", method, target, with(strings.Repeat("n", 10_000), 1))
		for name, property := range schema.Properties {
			s.refuses(t, 422, "body "+strings.ToUpper(name), method, target, with(strings.ToUpper(name), canary))
			for _, bad := range badValues(s.resolve(property)) {
				s.refuses(t, 422, "body "+name, method, target, with(name, bad))
			}
			if slices.Contains(schema.Required, name) {
				body := maps.Clone(valid)
				delete(body, name)
				s.refuses(t, 422, "body "+name, method, target, encode(t, body))
			}
		}
	})
}

// badValues are values that a schema refuses.
func badValues(schema *huma.Schema) []any {
	raw := func(texts ...string) (values []any) {
		for _, text := range texts {
			values = append(values, json.RawMessage(text))
		}
		return values
	}
	var bad []any
	if !schema.Nullable {
		bad = append(bad, nil)
	}
	switch schema.Type {
	case huma.TypeString:
		bad = append(bad, 1, true, []string{canary}, map[string]any{canary: 1}, canary+"\x00", canary+"\n", canary+"\x7f")
		if schema.MaxLength != nil {
			bad = append(bad, strings.Repeat("x", 10_000))
		}
		if schema.Enum != nil || schema.Format != "" {
			bad = append(bad, canary, "")
		}
	case huma.TypeInteger:
		bad = append(bad, canary, "1", true, -1, []int{1})
		bad = append(bad, raw("1.5", "1e3", "1e400", "-1e400", "9007199254740993", "99999999999999999999999", "1.0")...)
	case huma.TypeNumber:
		bad = append(bad, canary, "1", true, []int{1})
		bad = append(bad, raw("1e400", "-1e400")...)
	case huma.TypeBoolean:
		bad = append(bad, canary, "true", 0, 1)
	case huma.TypeArray:
		bad = append(bad, canary, 1, map[string]any{})
		if schema.MaxItems != nil {
			bad = append(bad, make([]any, *schema.MaxItems+1))
		}
		if schema.MinItems != nil && *schema.MinItems > 0 {
			bad = append(bad, []any{})
		}
	case huma.TypeObject:
		bad = append(bad, canary, 1, []any{})
	}
	return bad
}

func TestEveryParameterIsKnownGivenOnceAndOfItsType(t *testing.T) {
	s := newServer(t)
	s.operations(func(method, target string, op *huma.Operation) {
		body := ""
		if op.RequestBody != nil {
			body = encode(t, s.example(op.RequestBody.Content["application/json"].Schema))
		}
		s.refuses(t, 422, "query surprise", method, target+"?surprise="+canary, body)
		code, _ := s.do(method, target+"?a=%zz", body).is(400).problem()
		require.Equal(t, "bad_request", code)
		s.refuses(t, 422, "query ", method, target+"?%00="+canary, body)
		for _, p := range op.Parameters {
			if p.In != "query" {
				continue
			}
			query := target + "?" + p.Name + "="
			s.refuses(t, 422, "query "+p.Name, method, query+canary+"%00", body)
			s.refuses(t, 422, "query "+p.Name, method, query+canary+"%FF", body)
			s.refuses(t, 422, "query "+p.Name, method, query+"1&"+p.Name+"="+canary, body)
			s.refuses(t, 422, "query "+p.Name, method, query+strings.Repeat("x", 10_000), body)
		}
	})
}

func TestEveryPathParameterIsText(t *testing.T) {
	s := newServer(t)
	s.operations(func(method, target string, op *huma.Operation) {
		for _, p := range op.Parameters {
			if p.In != "path" {
				continue
			}
			body := ""
			if op.RequestBody != nil {
				body = encode(t, s.example(op.RequestBody.Content["application/json"].Schema))
			}
			for _, bad := range []string{canary + "%00", canary + "%FF", strings.Repeat("x", 10_000)} {
				path := strings.Replace(op.Path, "{"+p.Name+"}", bad, 1)
				path = strings.NewReplacer("{id}", "x", "{number}", "1").Replace(path)
				s.refuses(t, 422, "path "+p.Name, method, path, body, "If-Match", "*")
			}
		}
	})
}

func TestEveryBodyHasACap(t *testing.T) {
	s := newServer(t)
	s.bodies(func(method, target string, op *huma.Operation, _ *huma.Schema, _ map[string]any) {
		huge := `{"name":"` + strings.Repeat("x", int(op.MaxBodyBytes)) + `"}`
		code, _ := s.do(method, target, huge).is(http.StatusRequestEntityTooLarge).problem()
		require.Equal(t, "payload_too_large", code)
	})
}

func TestOperationsWithoutABodyRefuseOne(t *testing.T) {
	s := newServer(t)
	s.operations(func(method, target string, op *huma.Operation) {
		if op.RequestBody == nil && method != http.MethodGet {
			s.refuses(t, 400, "body body", method, target, `{"until":"`+canary+`"}`)
		}
	})
}
