package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

const (
	countsJSON = `"requests":10,"allowed":8,"denied":2,"denied_limit":2,"denied_quota":0,"denied_cost":0,"denied_key":0,"denied_access":0,
		"units":12,"billable_units":12,"reports":3,"status_2xx":2,"status_3xx":0,"status_4xx":0,"status_5xx":1,"bytes_in":5,"bytes_out":6`
	seriesJSON = `{"from":"2026-03-28T23:00:00Z","to":"2026-03-30T22:00:00Z","granularity":"day","tz":"Europe/Berlin","meter":"requests",
		"complete_until":"2026-03-30T21:59:58Z","kept_from":"2025-03-01T00:00:00Z","total":{` + countsJSON + `},"latency":{"reports":3,"p50_ms":14,"p90_ms":57,"p95_ms":80,"p99_ms":1024},
		"data":[{"from":"2026-03-28T23:00:00Z","to":"2026-03-29T22:00:00Z",` + countsJSON + `},
			{"from":"2026-03-29T22:00:00Z","to":"2026-03-30T22:00:00Z",` + countsJSON + `}]}`
	keyGroupsJSON = `{"from":"2026-03-28T00:00:00Z","to":"2026-03-30T00:00:00Z","group_by":"key","meter":"requests","complete_until":null,"kept_from":null,
		"data":[{"name":"k1","label":"Checkout","method":"",` + countsJSON + `},{"name":"k2","label":"","method":"",` + countsJSON + `}]}`
	endpointGroupsJSON = `{"from":"2026-03-28T00:00:00Z","to":"2026-03-30T00:00:00Z","group_by":"endpoint","meter":"requests","complete_until":null,"kept_from":null,
		"data":[{"name":"/v1/carts","label":"","method":"GET",` + countsJSON + `}]}`
	violationJSON = `{"id":"v1","minute":"2026-03-01T12:00:00Z","key_id":"k1","owner_id":"o1","rule":"per-minute","code":"rate_limited",
		"endpoint":"/v1/carts","limit":100,"count":7,"first_at":"2026-03-01T12:00:01Z","last_at":"2026-03-01T12:00:09Z","request_id":"r1",
		"ips":["192.0.2.7","::1"],"user_agents":["curl"],"repeats":6,"severity":"medium"}`
	explanationJSON = `{"request_id":"r1","at":"2026-03-01T12:00:00.25Z","allowed":false,"code":"rate_limited","decisive":"per-minute",
		"retry_at":"2026-03-01T12:00:01.45Z","degraded":false,"repeats":0,"key":{"id":"k1","name":"Checkout"},"owner":{"id":"o1","name":"cust_42"},
		"plan":"pro","plan_version":2,"method":"GET","endpoint":"/v1/carts","ip":"192.0.2.7","user_agent":"curl/8","meter":"requests",
		"cost":3,"units":2,"settleable":true,"adjustments":[{"at":"2026-03-01T12:00:05Z","units":2}],
		"reports":[{"at":"2026-03-01T12:00:01Z","status":200,"latency_ms":12,"bytes_in":1,"bytes_out":2,"meter":"tokens","units":5}],
		"sample_rate":1,"complete_until":null,
		"limits":[{"name":"per-minute","scope":"owner","limit":100,"remaining":0,"reset_after_ms":1200,"retry_after_ms":1200,"denied":true,"would_deny":false},
			{"name":"monthly","scope":"owner","limit":1000,"remaining":900,"reset_after_ms":3600000,"retry_after_ms":0,"denied":false,"would_deny":false},
			{"name":"trial","scope":"key","limit":5,"remaining":0,"reset_after_ms":1000,"retry_after_ms":0,"denied":false,"would_deny":true}]}`
)

func TestUsageIsShown(t *testing.T) {
	answers := map[string]reply{
		"GET /api/v1/owners/cust_42/usage": ok(seriesJSON), "GET /api/v1/usage": ok(keyGroupsJSON), "GET /api/v1/keys/k1/usage": ok(endpointGroupsJSON),
		"GET /api/v1/violations":  ok(`{"data":[` + violationJSON + `],"next_cursor":null}`),
		"GET /api/v1/checks/r1":   ok(explanationJSON),
		"GET /api/v1/checks/none": problem(apierror.New(apierror.CodeNotRecorded, "No such check is recorded")),
	}
	for name, test := range map[string]struct {
		args      []string
		line, out string
	}{
		"along time": {
			args: []string{"usage", "--owner", "cust_42", "--granularity", "day", "--tz", "Europe/Berlin", "--from", "2026-03-28", "--to", "2026-03-30T22:00:00Z", "--meter", "requests", "--endpoint", ""},
			line: "GET /api/v1/owners/cust_42/usage?endpoint=&from=2026-03-28T00%3A00%3A00Z&granularity=day&meter=requests&to=2026-03-30T22%3A00%3A00Z&tz=Europe%2FBerlin",
			out: "FROM                   REQUESTS  ALLOWED  DENIED  UNITS  REPORTS  5XX\n" +
				"2026-03-29 00:00 CET   10        8        2       12     3        1\n" +
				"2026-03-30 00:00 CEST  10        8        2       12     3        1\n" +
				"total                  10        8        2       12     3        1\n" +
				"\nlatency of 3 reports: half within 14ms, 95 % within 80ms, 99 % within 1.024s\n",
		},
		"by key": {
			args: []string{"usage", "--by", "key", "--limit", "2"}, line: "GET /api/v1/usage?group_by=key&limit=2",
			out: "KEY  NAME      REQUESTS  ALLOWED  DENIED  UNITS  REPORTS  5XX\n" +
				"k1   Checkout  10        8        2       12     3        1\n" +
				"k2   -         10        8        2       12     3        1\n",
		},
		"by endpoint": {
			args: []string{"usage", "--key", "k1", "--by", "endpoint"}, line: "GET /api/v1/keys/k1/usage?group_by=endpoint",
			out: "ENDPOINT       REQUESTS  ALLOWED  DENIED  UNITS  REPORTS  5XX\n" +
				"GET /v1/carts  10        8        2       12     3        1\n",
		},
		"violations": {
			args: []string{"violations", "--key", "k1", "--owner", "o1", "--rule", "per-minute", "--from", "2026-03-01"},
			line: "GET /api/v1/violations?from=2026-03-01T00%3A00%3A00Z&key_id=k1&limit=51&owner=o1&rule=per-minute",
			out: "MINUTE               KEY  RULE        LIMIT  REFUSED  SEVERITY  REPEATS  CODE          ENDPOINT   FROM            FIRST REQUEST\n" +
				"2026-03-01 12:00:00  k1   per-minute  100    7        medium    6        rate_limited  /v1/carts  192.0.2.7, ::1  r1\n",
		},
		"a check": {
			args: []string{"explain", "r1"}, line: "GET /api/v1/checks/r1",
			out: `Refused by per-minute: 100 of 100 used; again in 1.2 s

at        2026-03-01 12:00:00.250
key       Checkout (k1)
owner     cust_42 (o1) on pro version 2
call      GET /v1/carts
from      192.0.2.7 curl/8
cost      2 units of requests, 3 asked for
          +2 at 2026-03-01 12:00:05
reported  status 200 in 12ms, 1 bytes in, 2 out, 5 units of tokens

LIMIT       USED  OF    MORE IN  SAID
per-minute  100   100   1.2s     refused for 1.2 s
monthly     100   1000  1h0m0s   admitted
trial       5     5     1s       would refuse (shadow)
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, answers)
			got := run(t, "", test.args...)
			require.Zero(t, got.code, got.stderr)
			require.Equal(t, test.out, got.stdout)
			require.Equal(t, []string{test.line}, s.lines())
		})
	}
	start(t, answers)
	for want, args := range map[string][]string{
		seriesJSON: {"usage", "--owner", "cust_42"}, keyGroupsJSON: {"usage", "--by", "key"}, explanationJSON: {"explain", "r1"},
		`{"data":[` + violationJSON + `]}`: {"violations"},
	} {
		require.JSONEq(t, want, run(t, "", append(args, "-o", "json")...).stdout)
	}
	require.Equal(t, "usage from before 2025-03-01 00:00:00 is kept no longer, except for whole months of UTC of a key or an owner\n"+
		"complete until 2026-03-30 21:59:58\n", run(t, "", "usage", "--owner", "cust_42").stderr)
	none := run(t, "", "explain", "none")
	require.Equal(t, 1, none.code)
	require.Contains(t, none.stderr, "not_recorded")
}

func TestVerdictsAreInPlainWords(t *testing.T) {
	denied, admitted := `"limits":[{"name":"a","limit":10,"remaining":4,"retry_after_ms":-1,"denied":true}]`, `"limits":[{"name":"a","limit":10,"remaining":4}]`
	for body, want := range map[string]string{
		`{"allowed":true,"code":"ok","decisive":"a",` + admitted + `}`:          "Allowed: nearest to its limit was a, with 6 of 10 used",
		`{"allowed":true,"code":"ok"}`:                                          "Allowed: no limit applied",
		`{"allowed":true,"code":"ok","degraded":true}`:                          "Allowed: no limit applied. The shared store of limits was out of reach: this process decided alone",
		`{"allowed":true,"code":"ok","repeats":2}`:                              "Allowed: no limit applied. The same answer was given again 2 times",
		`{"code":"cost_exceeds_limit","cost":11,"decisive":"a",` + denied + `}`: "Refused by a: a cost of 11 can never fit into 10",
		`{"code":"rate_limited","at":"2026-03-01T12:00:00Z","retry_at":"2026-03-01T12:00:08.649Z","decisive":"a","limits":[{"name":"a","limit":5,"retry_after_ms":8649,"denied":true}]}`: "Refused by a: 5 of 5 used; again in 8.649 s",
		`{"code":"key_revoked"}`: "Refused: the key was revoked",
		`{"code":"new_code"}`:    "Refused: new_code",
	} {
		start(t, map[string]reply{"GET /api/v1/checks/r": ok(body)})
		got := run(t, "", "explain", "r")
		require.Zero(t, got.code, got.stderr)
		require.Contains(t, got.stdout, want+"\n")
	}
}

func TestBadFlagsOfUsageAreRefused(t *testing.T) {
	s := start(t, nil)
	for _, args := range [][]string{
		{"usage", "--key", "k", "--owner", "o"}, {"usage", "--by", "color"}, {"usage", "--granularity", "year"}, {"usage", "--from", "yesterday"},
		{"usage", "--from", "-1h"}, {"usage", "x"}, {"violations", "--limit", "-1"}, {"violations", "x"}, {"explain"}, {"explain", "a", "b"},
	} {
		require.Equal(t, 2, run(t, "", args...).code, args)
	}
	require.Empty(t, s.requests)
}
