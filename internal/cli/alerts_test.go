package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	alertJSON = `{"id":"a1","rule_id":"r1","rule":"quota-80","kind":"quota","severity":"warning","state":"active","subject":"owner:o1","owner_id":"o1",
		"quota":"monthly","period":"month","period_start":"2026-03-01T00:00:00Z","period_end":"2026-04-01T00:00:00Z","value":80.5,"threshold":80,
		"text":"It is so.","created_at":"2026-03-01T12:00:00Z","fired_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	alertRuleJSON = `{"id":"r1","name":"refusals","kind":"violations","severity":"warning","enabled":true,"params":{"count":5,"window_ms":600000,"per":"key"},
		"owner_id":null,"key_id":null,"plan_id":null,"for_ms":0,"resolve_after_ms":300000,"repeat_every_ms":14400000,"destinations":["d1"],
		"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
)

func TestAlertsAndTheirRulesAreAdministered(t *testing.T) {
	answers := map[string]reply{
		"GET /api/v1/alerts":                 ok(`{"data":[` + alertJSON + `],"next_cursor":null}`),
		"GET /api/v1/alerts/a1":              ok(alertJSON),
		"POST /api/v1/alerts/a1/acknowledge": ok(alertJSON),
		"POST /api/v1/alerts/a1/resolve":     ok(alertJSON),
		"POST /api/v1/alerts/a1/suppress":    ok(alertJSON),
		"GET /api/v1/alert-rules":            ok(`{"data":[` + alertRuleJSON + `],"next_cursor":null}`),
		"POST /api/v1/alert-rules":           ok(alertRuleJSON),
		"PATCH /api/v1/alert-rules/refusals": ok(alertRuleJSON),
		"DELETE /api/v1/alert-rules/r1":      status(204, ""),
		"POST /api/v1/alert-rules/preview": ok(`{"from":"2026-03-01T00:00:00Z","to":"2026-03-08T00:00:00Z","truncated":false,"estimated":false,
			"data":[{"at":"2026-03-02T00:00:00Z","subject":"key:k1","value":7,"threshold":5,"resolved_at":null}]}`),
	}
	const rule = "id             r1\nname           refusals\nkind           violations\nseverity       warning\nenabled        true\n" +
		"looks for      count=5 window=10m per=key\nowner          -\nkey            -\nplan           -\nfor            0s\n" +
		"resolve after  5m\nrepeat every   4h\ndestinations   d1\ncreated        2026-03-01 12:00:00\nupdated        2026-03-01 12:00:00\netag           \"3-5f1c\"\n"
	for name, test := range map[string]struct {
		args            []string
		line, body, out string
	}{
		"list": {
			args: []string{"alerts", "list", "--state", "active", "--owner", "acme"}, line: "GET /api/v1/alerts?limit=51&owner=acme&state=active",
			out: "ID  RULE      SEVERITY  STATE   SUBJECT   VALUE  THRESHOLD  SINCE                RESOLVED\n" +
				"a1  quota-80  warning   active  owner:o1  80.5   80         2026-03-01 12:00:00  -\n",
		},
		"acknowledge": {
			args: []string{"alerts", "acknowledge", "a1", "--note", "on it"}, line: "POST /api/v1/alerts/a1/acknowledge", body: `{"note":"on it"}`,
			out: "acknowledged quota-80: owner:o1 (a1)\n",
		},
		"resolve": {args: []string{"alerts", "resolve", "a1"}, line: "POST /api/v1/alerts/a1/resolve", body: `{}`, out: "resolved quota-80: owner:o1 (a1)\n"},
		"suppress": {
			args: []string{"alerts", "suppress", "a1", "--until", "2027-01-31T00:00:00Z"}, line: "POST /api/v1/alerts/a1/suppress",
			body: `{"until":"2027-01-31T00:00:00Z"}`, out: "suppressed quota-80: owner:o1 (a1)\n",
		},
		"rules": {
			args: []string{"alert-rules", "list"}, line: "GET /api/v1/alert-rules?limit=51",
			out: "ID  NAME      KIND        SEVERITY  ENABLED  LOOKS FOR\nr1  refusals  violations  warning   true     count=5 window=10m per=key\n",
		},
		"create": {
			args: []string{"alert-rules", "create", "refusals", "--kind", "violations", "--count", "5", "--window", "10m", "--resolve-after", "1m", "--destination", "d1"},
			line: "POST /api/v1/alert-rules", out: rule,
			body: `{"name":"refusals","kind":"violations","params":{"count":5,"window":"10m"},"resolve_after":"1m","destinations":["d1"]}`,
		},
		"update": {
			args: []string{"alert-rules", "update", "refusals", "--enabled=false", "--clear", "owner,destination", "--count", "7", "--window", "1h"},
			line: "PATCH /api/v1/alert-rules/refusals", out: rule,
			body: `{"enabled":false,"owner":null,"destinations":null,"params":{"count":7,"window":"1h"}}`,
		},
		"delete": {args: []string{"alert-rules", "delete", "r1", "--yes"}, line: "DELETE /api/v1/alert-rules/r1", out: "deleted r1\n"},
		"preview": {
			args: []string{"alert-rules", "preview", "--kind", "quota", "--percent", "80.5"}, line: "POST /api/v1/alert-rules/preview",
			body: `{"rule":{"kind":"quota","params":{"percent":80.5}}}`,
			out:  "AT                   SUBJECT  QUOTA  VALUE  THRESHOLD  RESOLVED\n2026-03-02 00:00:00  key:k1   -      7      5          -\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, answers)
			got := run(t, "", test.args...)
			require.Zero(t, got.code, got.stderr)
			require.Equal(t, test.out, got.stdout)
			require.Equal(t, []string{test.line}, s.lines())
			if test.body != "" {
				require.JSONEq(t, test.body, s.requests[0].body)
			}
		})
	}
	s := start(t, answers)
	require.Contains(t, run(t, "", "alerts", "show", "a1").stdout, "It is so.")
	require.Contains(t, run(t, "", "alerts", "suppress", "a1").stderr, "--until says for how long")
	from := run(t, `{"name":"x","kind":"system","params":{"ingestion_lag":"5m","ingest_losses":true,"window":"1h"}}`, "alert-rules", "create", "--from", "-")
	require.Zero(t, from.code, from.stderr)
	require.JSONEq(t, `{"name":"x","kind":"system","params":{"ingestion_lag":"5m","ingest_losses":true,"window":"1h"}}`, s.requests[len(s.requests)-1].body)
}
