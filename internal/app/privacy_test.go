package app

import (
	"bufio"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apikey"
)

// export reads an export by kind, and checks that it is whole.
func (p *process) export(path string) map[string][]object {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.URL()+path+"/export", http.NoBody)
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := p.client.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	require.Equal(p.t, http.StatusOK, resp.StatusCode)
	kinds, lines := map[string][]object{}, 0
	scanner := bufio.NewScanner(resp.Body)
	for scanner.Scan() {
		var line object
		require.NoError(p.t, json.Unmarshal(scanner.Bytes(), &line))
		if line["kind"] == "end" {
			require.EqualValues(p.t, lines, line["lines"])
		}
		kinds[line["kind"].(string)] = append(kinds[line["kind"].(string)], line)
		lines++
	}
	require.NoError(p.t, scanner.Err())
	require.Len(p.t, kinds["end"], 1)
	return kinds
}

func TestWhereCallsCameFromIsExportedAndErasedOnEveryEngine(t *testing.T) {
	for _, e := range allEngines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			p := run(t, e.role, append(e.environ(t), "VIVA_DATA_DIR="+t.TempDir())...)
			key := p.do("POST", "/api/v1/keys", object{"name": "demo", "metadata": object{"who": "Ada"}})
			path := "/api/v1/keys/" + key["id"].(string)
			check := object{"api_key": key["secret"], "ip": "198.51.100.1"}
			require.Equal(t, "Ada", p.do("POST", "/api/v1/validate", check)["key"].(object)["metadata"].(object)["who"])
			came := func(n int) (addresses []any) {
				require.Eventually(t, func() bool {
					addresses = nil
					for _, line := range p.export(path)["usage_logs"] {
						addresses = append(addresses, line["ip"])
					}
					return len(addresses) == n
				}, 15*time.Second, 50*time.Millisecond)
				return addresses
			}
			require.Equal(t, []any{"198.51.100.1"}, came(1))
			require.EqualValues(t, 1, p.do("POST", path+"/erase-personal-data", nil)["logs"])
			require.Equal(t, []any{""}, came(1))
			require.Equal(t, object{}, p.do("POST", "/api/v1/validate", check)["key"].(object)["metadata"], "the process that erases knows at once")
			require.Equal(t, []any{"", "198.51.100.1"}, came(2), "what happens later is not erased")
			requests := 0.0
			for _, line := range p.export(path)["usage_rollups"] {
				requests += line["requests"].(float64)
			}
			require.InDelta(t, 2, requests, 0)
		})
	}
}

func TestAnImportIsToldInTheExportOfEachOfItsKeys(t *testing.T) {
	for _, e := range allEngines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			p := run(t, e.role, e.environ(t)...)
			brought := func(secret string) object {
				return object{"name": secret, "import": object{"hash": apikey.Sum(secret).String()}}
			}
			p.headers = http.Header{"Prefer": {"respond-async, return=minimal"}}
			answer := p.do("POST", "/api/v1/keys/bulk", object{"keys": []object{brought("made-elsewhere-1"), {"name": "ours"}, brought("made-elsewhere-2")}})
			require.Len(t, answer["data"], 1, "a secret is always shown")
			require.Equal(t, "ours", answer["data"].([]any)[0].(object)["name"])
			for _, secret := range []string{"made-elsewhere-1", "made-elsewhere-2"} {
				require.Equal(t, true, p.check(secret)["allowed"])
				id := p.do("POST", "/api/v1/keys/lookup", object{"api_key": secret})["id"].(string)
				entries := p.export("/api/v1/keys/" + id)["audit_logs"]
				require.Len(t, entries, 1)
				require.Equal(t, "key.import", entries[0]["action"])
			}
		})
	}
}
