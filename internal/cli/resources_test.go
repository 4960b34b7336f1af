package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	ownerJSON = `{"id":"o1","external_id":"cust_42","name":"Acme","email":"a@acme.test","plan":"pro","plan_version":2,"implicit":false,
		"rules":[{"name":"a","limit":1,"window":"1s","algorithm":"sliding_window","scope":"owner"}],"time_zone":"Europe/Berlin","anchor_day":15,
		"metadata":{"a":"b"},"archived_at":null,"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	planJSON = `{"id":"p1","name":"gold","description":"the best","version":3,
		"rules":[{"name":"per-second","limit":100,"window":"1s","algorithm":"sliding_window","scope":"owner"},
			{"name":"monthly","limit":1000000,"period":"month","algorithm":"fixed_window","scope":"owner","overage":"allow"}],
		"archived":true,"metadata":{},"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	keyspaceJSON = `{"id":"s1","name":"payments","prefix":"pay","description":"for money","imported":true,"metadata":{"a":"b"},
		"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	ownerText = `id           o1
external id  cust_42
name         Acme
plan         pro version 2
implicit     false
created      2026-03-01 12:00:00
archived     -
email        a@acme.test
rules        name=a,limit=1,window=1s,algorithm=sliding_window,scope=owner
time zone    Europe/Berlin
anchor day   15
metadata     a=b
updated      2026-03-01 12:00:00
etag         "3-5f1c"
`
	planText = `id           p1
name         gold
description  the best
version      3
rules        name=per-second,limit=100,window=1s,algorithm=sliding_window,scope=owner
             name=monthly,limit=1000000,period=month,algorithm=fixed_window,scope=owner,overage=allow
archived     true
metadata     -
created      2026-03-01 12:00:00
updated      2026-03-01 12:00:00
etag         "3-5f1c"
`
	keyspaceText = `id           s1
name         payments
prefix       pay
imported     true
created      2026-03-01 12:00:00
description  for money
metadata     a=b
updated      2026-03-01 12:00:00
etag         "3-5f1c"
`
)

func TestOwnersPlansAndKeyspacesAreAdministered(t *testing.T) {
	none := `,"next_cursor":null}`
	answers := map[string]reply{
		"POST /api/v1/owners": status(201, ownerJSON), "GET /api/v1/owners/cust_42": ok(ownerJSON), "PATCH /api/v1/owners/cust_42": ok(ownerJSON),
		"GET /api/v1/owners": ok(`{"data":[` + ownerJSON + `]` + none), "DELETE /api/v1/owners/cust_42": status(204, ""),
		"POST /api/v1/plans": status(201, planJSON), "GET /api/v1/plans/gold": ok(planJSON), "PATCH /api/v1/plans/gold": ok(planJSON),
		"GET /api/v1/plans": ok(`{"data":[` + planJSON + `]` + none), "DELETE /api/v1/plans/gold": status(204, ""),
		"POST /api/v1/plans/gold/versions": status(201, planJSON),
		"GET /api/v1/plans/gold/versions": ok(`{"data":[{"id":"v3","number":3,"rules":[{"name":"a","limit":1,"window":"1h"},
			{"name":"b","limit":5,"window":"1s","algorithm":"gcra","burst":9},{"name":"q","limit":2,"period":"day"}],
			"created_at":"2026-03-01T12:00:00Z"}]` + none),
		"POST /api/v1/keyspaces": status(201, keyspaceJSON), "GET /api/v1/keyspaces/payments": ok(keyspaceJSON),
		"PATCH /api/v1/keyspaces/payments": ok(keyspaceJSON), "GET /api/v1/keyspaces": ok(`{"data":[` + keyspaceJSON + `]` + none),
		"DELETE /api/v1/keyspaces/payments": status(204, ""),
	}
	for name, test := range map[string]struct {
		args  []string
		stdin string
		line  string
		body  string
		out   string
	}{
		"create owner": {
			args: []string{
				"owners", "create", "cust_42", "--name", "Acme", "--email", "a@acme.test", "--plan", "pro", "--plan-version", "2",
				"--time-zone", "Europe/Berlin", "--anchor-day", "15", "--rule", "name=a,limit=1,window=1s", "--metadata", "a=b",
			},
			line: "POST /api/v1/owners", out: ownerText,
			body: `{"external_id":"cust_42","name":"Acme","email":"a@acme.test","plan":"pro","plan_version":2,"time_zone":"Europe/Berlin","anchor_day":15,
				"rules":[{"name":"a","limit":1,"window":"1s"}],"metadata":{"a":"b"}}`,
		},
		"create owner of nothing": {args: []string{"owners", "create"}, line: "POST /api/v1/owners", body: `{}`, out: ownerText},
		"create owner from a file": {
			args: []string{"owners", "create", "--from", "-"}, stdin: `{"external_id":"x","plan_version":1}`,
			line: "POST /api/v1/owners", body: `{"external_id":"x","plan_version":1}`, out: ownerText,
		},
		"get owner": {args: []string{"owners", "get", "cust_42"}, line: "GET /api/v1/owners/cust_42", out: ownerText},
		"list owners": {
			args: []string{"owners", "list", "--plan", "pro", "--name", "A", "--implicit=false", "--archived"},
			line: "GET /api/v1/owners?implicit=false&include_archived=true&limit=51&name=A&plan=pro",
			out: "ID  EXTERNAL ID  NAME  PLAN           IMPLICIT  CREATED              ARCHIVED\n" +
				"o1  cust_42      Acme  pro version 2  false     2026-03-01 12:00:00  -\n",
		},
		"update owner": {
			args: []string{
				"owners", "update", "cust_42", "--external-id", "x", "--plan", "free", "--clear", "plan-version,name,email", "--time-zone", "UTC",
				"--anchor-day", "1", "--quota", "name=d,limit=5,period=day", "--unset-metadata", "a",
			},
			line: "PATCH /api/v1/owners/cust_42", out: ownerText,
			body: `{"external_id":"x","plan":"free","plan_version":null,"name":null,"email":null,"time_zone":"UTC","anchor_day":1,
				"rules":[{"name":"d","limit":5,"period":"day"}],"metadata":{"a":null}}`,
		},
		"delete owner": {args: []string{"owners", "delete", "cust_42", "--yes"}, line: "DELETE /api/v1/owners/cust_42", out: "archived cust_42\n"},
		"create plan": {
			args: []string{"plans", "create", "gold", "--description", "the best", "--rule", "name=a,limit=1,window=1s", "--metadata", "a=b"},
			line: "POST /api/v1/plans", out: planText,
			body: `{"name":"gold","description":"the best","rules":[{"name":"a","limit":1,"window":"1s"}],"metadata":{"a":"b"}}`,
		},
		"create plan from a file": {
			args: []string{"plans", "create", "--from", "-"}, stdin: `{"name":"gold"}`, line: "POST /api/v1/plans", body: `{"name":"gold"}`, out: planText,
		},
		"get plan": {args: []string{"plans", "get", "gold"}, line: "GET /api/v1/plans/gold", out: planText},
		"list plans": {
			args: []string{"plans", "list", "--archived", "--sort", "name"}, line: "GET /api/v1/plans?include_archived=true&limit=51&sort=name",
			out: "ID  NAME  VERSION  RULES                                     ARCHIVED  CREATED\n" +
				"p1  gold  3        per-second 100/1s, monthly 1000000/month  true      2026-03-01 12:00:00\n",
		},
		"publish plan": {
			args: []string{"plans", "publish", "gold", "--rule", "name=a,limit=1,window=1s", "--quota", "name=q,limit=2,period=day"},
			line: "POST /api/v1/plans/gold/versions", out: planText,
			body: `{"rules":[{"name":"a","limit":1,"window":"1s"},{"name":"q","limit":2,"period":"day"}]}`,
		},
		"publish plan from a file": {
			args: []string{"plans", "publish", "gold", "--from", "-"}, stdin: `{"rules":[]}`,
			line: "POST /api/v1/plans/gold/versions", body: `{"rules":[]}`, out: planText,
		},
		"list versions": {
			args: []string{"plans", "versions", "gold"}, line: "GET /api/v1/plans/gold/versions?limit=51",
			out: "NUMBER  CREATED              RULES                            ID\n" +
				"3       2026-03-01 12:00:00  a 1/1h, b 5/1s burst 9, q 2/day  v3\n",
		},
		"update plan": {
			args: []string{"plans", "update", "gold", "--name", "silver", "--archived=false", "--clear", "description"},
			line: "PATCH /api/v1/plans/gold", body: `{"name":"silver","archived":false,"description":null}`, out: planText,
		},
		"delete plan": {args: []string{"plans", "delete", "gold", "-y"}, line: "DELETE /api/v1/plans/gold", out: "deleted gold\n"},
		"create keyspace": {
			args: []string{"keyspaces", "create", "payments", "--prefix", "pay", "--description", "for money", "--metadata", "a=b,c=d"},
			line: "POST /api/v1/keyspaces", out: keyspaceText,
			body: `{"name":"payments","prefix":"pay","description":"for money","metadata":{"a":"b","c":"d"}}`,
		},
		"create keyspace from a file": {
			args: []string{"keyspaces", "create", "--from", "-"}, stdin: `{"name":"payments"}`,
			line: "POST /api/v1/keyspaces", body: `{"name":"payments"}`, out: keyspaceText,
		},
		"get keyspace": {args: []string{"keyspaces", "get", "payments"}, line: "GET /api/v1/keyspaces/payments", out: keyspaceText},
		"list keyspaces": {
			args: []string{"keyspaces", "list", "--limit", "1"}, line: "GET /api/v1/keyspaces?limit=2",
			out: "ID  NAME      PREFIX  IMPORTED  CREATED              DESCRIPTION\n" +
				"s1  payments  pay     true      2026-03-01 12:00:00  for money\n",
		},
		"update keyspace": {
			args: []string{"keyspaces", "update", "payments", "--name", "money", "--description", ""},
			line: "PATCH /api/v1/keyspaces/payments", body: `{"name":"money","description":""}`, out: keyspaceText,
		},
		"delete keyspace": {args: []string{"keyspaces", "delete", "payments", "-y"}, line: "DELETE /api/v1/keyspaces/payments", out: "deleted payments\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, answers)
			got := run(t, test.stdin, test.args...)
			require.Zero(t, got.code, got.stderr)
			require.Equal(t, test.out, got.stdout)
			require.Equal(t, []string{test.line}, s.lines())
			if test.body == "" {
				require.Empty(t, s.requests[0].body)
			} else {
				require.JSONEq(t, test.body, s.requests[0].body)
			}
		})
	}
}

func TestJSONIsTheJSONOfTheAPI(t *testing.T) {
	start(t, map[string]reply{
		"GET /api/v1/owners/o": ok(ownerJSON), "GET /api/v1/plans/p": ok(planJSON), "GET /api/v1/keyspaces/s": ok(keyspaceJSON),
		"GET /api/v1/whoami": ok(whoami), "DELETE /api/v1/plans/p": status(204, ""),
	})
	for want, args := range map[string][]string{
		ownerJSON: {"owners", "get", "o"}, planJSON: {"plans", "get", "p"}, keyspaceJSON: {"keyspaces", "get", "s"}, whoami: {"whoami"},
	} {
		require.JSONEq(t, want, run(t, "", append(args, "-o", "json")...).stdout)
	}
	got := run(t, "", "plans", "delete", "p", "-y", "-o", "json")
	require.Zero(t, got.code)
	require.Empty(t, got.stdout, "the API answers nothing")
}
