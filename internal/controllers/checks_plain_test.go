package controllers

import (
	"reflect"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/services/validation"
)

// bySchema reads a check as Huma's way does: ok is false where the schema or
// the decoder refuses it.
func bySchema(t testing.TB, registry huma.Registry, schema *huma.Schema, data []byte) (c validation.Check, ok bool) {
	t.Helper()
	if checkJSON(registry, schema, data) != nil {
		return c, false
	}
	var body checkBody
	require.NoError(t, readJSON(data, &body), "the schema takes what the decoder refuses")
	c, err := body.check("")
	return c, err == nil
}

func checkSchema() (huma.Registry, *huma.Schema) {
	settleHuma()
	registry := newRegistry()
	return registry, registry.Schema(reflect.TypeFor[checkBody](), true, "")
}

var checkSeeds = []string{
	`{"api_key":"viva_live_x"}`,
	` { "api_key" : "k" , "cost" : 0 } `,
	`{"api_key":"k","cost":12,"check_id":"c","keyspace":"s","method":"GET","endpoint":"/v1","ip":"10.0.0.1","permissions":["a","b"],"user_agent":"curl/8","settle":true}`,
	`{"api_key":"k","cost":-1}`, `{"api_key":"k","cost":01}`, `{"api_key":"k","cost":1.0}`, `{"api_key":"k","cost":9007199254740993}`,
	`{"api_key":"k","cost":999999999999999}`, `{"api_key":"k","cost":9007199254740991}`, `{"api_key":"k","cost":null}`,
	`{"api_key":"k","api_key":"k"}`, `{"API_KEY":"k"}`, `{"api_key":"k","x":1}`, `{}`, `{"cost":1}`, `{"api_key":"k",}`, `{"api_key":"k"}x`,
	`{"api_key":"k","ip":""}`, `{"api_key":"k","ip":"fe80::1%eth0"}`, `{"api_key":"k","permissions":[]}`, `{"api_key":"k","permissions":["a",]}`,
	`{"api_key":"\u006b"}`, "{\"api_key\":\"\x00\"}", "{\"api_key\":\"\xff\"}", `{"api_key":"ü"}`, `{"api_key":"k","method":"AAAAAAAAAAAAAAAAA"}`,
	`{"api_key":"k","settle":tru}`, `{"api_key":"k","settle":1}`, `{"api_key":"k","user_agent":7}`, `{"api_key":"k" "cost":1}`, `{"api_key" "k"}`, `["api_key"]`, `{"api_key":["k"]}`, `{,"api_key":"k"}`,
}

// FuzzPlain checks that whatever the fast path takes, the schema takes too,
// and reads the same.
func FuzzPlain(f *testing.F) {
	for _, seed := range checkSeeds {
		f.Add([]byte(seed))
	}
	registry, schema := checkSchema()
	f.Fuzz(func(t *testing.T, data []byte) {
		p, fast := plain{text: string(data)}, validation.Check{}
		if !p.check(&fast) || !p.end() {
			return
		}
		slow, ok := bySchema(t, registry, schema, data)
		require.True(t, ok, "%q", data)
		require.Equal(t, slow, fast, "%q", data)
	})
}

func TestPlainTakesWhatCallersSend(t *testing.T) {
	registry, schema := checkSchema()
	for _, text := range checkSeeds[:3] {
		p, fast := plain{text: text}, validation.Check{}
		require.True(t, p.check(&fast) && p.end(), text)
		slow, ok := bySchema(t, registry, schema, []byte(text))
		require.True(t, ok)
		require.Equal(t, slow, fast)
	}
}

func TestPlainLeavesTheRest(t *testing.T) {
	taken := 0
	for _, text := range checkSeeds[3:] {
		p, c := plain{text: text}, validation.Check{}
		if p.check(&c) && p.end() {
			taken++
			require.Contains(t, []string{
				`{"api_key":"k","cost":999999999999999}`, `{"api_key":"k","ip":"fe80::1%eth0"}`,
			}, text)
		}
	}
	require.Equal(t, 2, taken)
}
