package cli_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

const (
	keyJSON = `{"id":"k1","name":"Checkout","keyspace":"default","owner":"cust_42","plan":"pro","environment":"live","status":"suspended",
		"secrets":[{"id":"s2","mask":"viva_live_…wXyZ","expires_at":null,"created_at":"2026-03-01T12:00:00Z"},
			{"id":"s1","mask":"viva_live_…a1b2","expires_at":"2026-03-02T12:00:00Z","created_at":"2026-02-01T12:00:00Z"}],
		"expires_at":"2027-03-01T12:00:00Z","revoked_at":null,"suspended_until":"2026-03-03T12:00:00Z","suspend_reason":"runaway client",
		"allowed_ips":["10.0.0.0/8"],"permissions":["read","write"],"methods":[],"endpoints":["/v1/**"],
		"rules":[{"name":"per-minute","limit":60,"window":"1m","algorithm":"sliding_window","scope":"key","methods":["GET"],"shadow":true},
			{"name":"bucket","limit":10,"window":"1s","algorithm":"gcra","burst":50,"scope":"key"},
			{"name":"monthly","limit":10000,"period":"month","algorithm":"fixed_window","scope":"owner","overage":"allow"}],
		"tags":["eu"],"metadata":{"region":"eu","a":"b"},"last_used_at":"2026-03-02T12:00:00Z","total_requests":70,"total_units":90,"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	secret = "viva_live_0123456789abcdefghijklmnopqrstuv012345"
)

var createdKey = strings.TrimSuffix(keyJSON, "}") + `,"secret":"` + secret + `"}`

func TestKeyIsDescribed(t *testing.T) {
	start(t, map[string]reply{"GET /api/v1/keys/k1": ok(keyJSON)})
	got := run(t, "", "keys", "get", "k1")
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, `id           k1
name         Checkout
status       suspended until 2026-03-03 12:00:00: runaway client
keyspace     default
environment  live
owner        cust_42
plan         pro
secrets      viva_live_…wXyZ
             viva_live_…a1b2 until 2026-03-02 12:00:00
expires      2027-03-01 12:00:00
allowed IPs  10.0.0.0/8
permissions  read, write
methods      -
endpoints    /v1/**
rules        name=per-minute,limit=60,window=1m,algorithm=sliding_window,scope=key,method=GET,shadow
             name=bucket,limit=10,window=1s,algorithm=gcra,burst=50,scope=key
             name=monthly,limit=10000,period=month,algorithm=fixed_window,scope=owner,overage=allow
tags         eu
metadata     a=b
             region=eu
created      2026-03-01 12:00:00
updated      2026-03-01 12:00:00
etag         "3-5f1c"
`, got.stdout)

	got = run(t, "", "keys", "get", "k1", "--output", "json")
	require.JSONEq(t, keyJSON, got.stdout)
}

func TestSecretIsPrintedAloneAndOnce(t *testing.T) {
	start(t, map[string]reply{
		"POST /api/v1/keys":           status(201, createdKey),
		"POST /api/v1/keys/k1/rotate": status(201, createdKey),
	})
	for note, args := range map[string][]string{
		"created Checkout (k1) of owner cust_42 on plan pro; its secret is shown this once\n": {"keys", "create", "Checkout"},
		"rotated Checkout (k1); its secret is shown this once\n":                              {"keys", "rotate", "k1"},
	} {
		got := run(t, "", args...)
		require.Zero(t, got.code)
		require.Equal(t, secret+"\n", got.stdout)
		require.Equal(t, note, got.stderr)

		got = run(t, "", append(args, "-o", "json")...)
		require.JSONEq(t, createdKey, got.stdout)
		require.Equal(t, note, got.stderr)
	}
}

// Each command sends what the API takes.
func TestKeyCommandsSayWhatTheyMean(t *testing.T) {
	const one = "POST /api/v1/keys"
	for name, test := range map[string]struct {
		args  []string
		stdin string
		line  string
		body  string
		etag  string
		out   string
	}{
		"create": {
			args: []string{
				"create", "Checkout", "--keyspace", "payments", "--owner=cust_42", "--plan", "pro", "--environment", "test",
				"--expires", "2027-03-01T12:00:00Z", "--allow-ip", "10.0.0.0/8,::1", "--permission", "read", "--permission", "write",
				"--method", "GET", "--endpoint", "/v1/{a,b}", "--tag", "eu", "--metadata", "region=eu",
				"--rule", "name=burst,limit=10,window=1s,algorithm=fixed_window,scope=owner,method=GET,method=PUT,endpoint=/x,shadow",
				"--quota", "name=monthly,limit=10000,period=month,overage=allow", "--rule", "name=b,limit=1,window=90m,shadow=false",
				"--rule", "name=c,limit=10,window=1s,algorithm=gcra,burst=50",
				"--rule", "name=d,limit=9,window=1h,algorithm=sliding_log",
			},
			line: one,
			body: `{"name":"Checkout","keyspace":"payments","owner":"cust_42","plan":"pro","environment":"test","expires_at":"2027-03-01T12:00:00Z",
				"allowed_ips":["10.0.0.0/8","::1"],"permissions":["read","write"],"methods":["GET"],"endpoints":["/v1/{a,b}"],
				"tags":["eu"],"metadata":{"region":"eu"},"rules":[
				{"name":"burst","limit":10,"window":"1s","algorithm":"fixed_window","scope":"owner","methods":["GET","PUT"],"endpoints":["/x"],"shadow":true},
				{"name":"monthly","limit":10000,"period":"month","overage":"allow"},{"name":"b","limit":1,"window":"1h30m"},
				{"name":"c","limit":10,"window":"1s","algorithm":"gcra","burst":50},
				{"name":"d","limit":9,"window":"1h","algorithm":"sliding_log"}]}`,
			out: secret,
		},
		"create from a file": {
			args: []string{"create", "--from", "-"}, stdin: `{"name":"a","rules":[{"name":"r","limit":1,"window":"1s","shadow":false}],"tags":[]}`,
			line: one, body: `{"name":"a","rules":[{"name":"r","limit":1,"window":"1s"}]}`, out: secret,
		},
		"list": {
			args: []string{
				"list", "--keyspace", "payments", "--owner", "cust_42", "--environment", "live", "--status", "active",
				"--name", "Check", "--tag", "eu", "--sort", "-name", "--limit", "7",
			},
			line: "GET /api/v1/keys?environment=live&keyspace=payments&limit=8&name=Check&owner=cust_42&sort=-name&status=active&tag=eu",
		},
		"update": {
			args: []string{
				"update", "k1", "--name", "New", "--owner", "cust_43", "--plan", "free", "--tag", "a,b", "--clear", "rule,expires", "--clear", "allow-ip",
				"--metadata", "set=1", "--unset-metadata", "gone", "--permission", "x", "--method", "GET", "--endpoint", "/y", "--if-match", `"3-5f1c"`,
			},
			line: "PATCH /api/v1/keys/k1", etag: `"3-5f1c"`,
			body: `{"name":"New","owner":"cust_43","plan":"free","tags":["a","b"],"rules":null,"expires_at":null,"allowed_ips":null,
				"permissions":["x"],"methods":["GET"],"endpoints":["/y"],"metadata":{"set":"1","gone":null}}`,
		},
		"update of one thing": {
			args: []string{"update", "k1", "--quota", "name=d,limit=5,period=day"},
			line: "PATCH /api/v1/keys/k1", etag: "*", body: `{"rules":[{"name":"d","limit":5,"period":"day"}]}`,
		},
		"rotate":       {args: []string{"rotate", "k1", "--grace", "24h"}, line: "POST /api/v1/keys/k1/rotate", body: `{"grace":"24h"}`, out: secret},
		"revoke":       {args: []string{"revoke", "k1"}, line: "POST /api/v1/keys/k1/revoke", out: "revoked Checkout (k1)\n"},
		"activate":     {args: []string{"activate", "k1"}, line: "POST /api/v1/keys/k1/activate", out: "activated Checkout (k1)\n"},
		"suspend":      {args: []string{"suspend", "k1"}, line: "POST /api/v1/keys/k1/suspend", body: `{}`, out: "suspended Checkout (k1)\n"},
		"reset limits": {args: []string{"reset-limits", "k1"}, line: "POST /api/v1/keys/k1/reset-limits", out: "reset the limits of k1\n"},
		"erase":        {args: []string{"erase", "k1", "--yes"}, line: "DELETE /api/v1/keys/k1", out: "erased k1\n"},
		"suspend for a time": {
			args: []string{"suspend", "k1", "--until", "2027-03-01T12:00:00+01:00", "--reason", "abuse"},
			line: "POST /api/v1/keys/k1/suspend", body: `{"until":"2027-03-01T12:00:00+01:00","reason":"abuse"}`, out: "suspended Checkout (k1)\n",
		},
		"look up": {
			args: []string{"lookup", "-"}, stdin: secret + "\n",
			line: "POST /api/v1/keys/lookup", body: `{"api_key":"` + secret + `"}`, out: "id           k1\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, map[string]reply{
				one: status(201, createdKey), "GET /api/v1/keys": ok(`{"data":[],"next_cursor":null}`),
				"PATCH /api/v1/keys/k1": ok(keyJSON), "DELETE /api/v1/keys/k1": status(204, ""), "POST /api/v1/keys/k1/rotate": status(201, createdKey),
				"POST /api/v1/keys/k1/revoke": ok(keyJSON), "POST /api/v1/keys/k1/activate": ok(keyJSON), "POST /api/v1/keys/k1/suspend": ok(keyJSON),
				"POST /api/v1/keys/k1/reset-limits": status(204, ""), "POST /api/v1/keys/lookup": ok(keyJSON),
			})
			got := run(t, test.stdin, append([]string{"keys"}, test.args...)...)
			require.Zero(t, got.code, got.stderr)
			require.Contains(t, got.stdout, test.out)
			require.Equal(t, []string{test.line}, s.lines())
			require.Equal(t, test.etag, s.requests[0].etag)
			if test.body == "" {
				require.Empty(t, s.requests[0].body)
			} else {
				require.JSONEq(t, test.body, s.requests[0].body)
			}
		})
	}
}

func TestExpiryMayBeADurationFromNow(t *testing.T) {
	s := start(t, map[string]reply{"POST /api/v1/keys": status(201, createdKey)})
	before := time.Now().Truncate(time.Microsecond)
	require.Zero(t, run(t, "", "keys", "create", "a", "--expires", "720h").code)
	after := time.Now()
	text := strings.Split(s.requests[0].body, `"expires_at":"`)[1]
	at, err := time.Parse(time.RFC3339, text[:strings.IndexByte(text, '"')])
	require.NoError(t, err)
	require.False(t, at.Before(before.Add(720*time.Hour)), at)
	require.False(t, at.After(after.Add(720*time.Hour)), at)

	for _, when := range []string{"-1h", "0s", "tomorrow", "2027-03-01"} {
		require.Equal(t, 2, run(t, "", "keys", "create", "a", "--expires", when).code, when)
	}
	require.Len(t, s.requests, 1)
}

// keyPages serves so many keys, in pages as large as they are asked for.
func keyPages(total int) reply {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		from, _ := strconv.Atoi(query.Get("cursor")) // absent on the first page
		limit, err := strconv.Atoi(query.Get("limit"))
		if err != nil {
			panic(err)
		}
		var rows []string
		for i := from; i < min(from+limit, total); i++ {
			rows = append(rows, fmt.Sprintf(`{"id":"k%d","name":"key %d","created_at":"2026-03-01T12:00:00Z"}`, i, i))
		}
		next := "null"
		if from+limit < total {
			next = fmt.Sprintf(`"%d"`, from+limit)
		}
		ok(`{"data":[`+strings.Join(rows, ",")+`],"next_cursor":`+next+`}`)(w, r)
	}
}

func TestListShowsSoManyRowsAndSaysWhetherThereAreMore(t *testing.T) {
	s := start(t, map[string]reply{"GET /api/v1/keys": keyPages(2500)})
	for _, test := range []struct {
		args     []string
		rows     int
		more     string
		requests []string
	}{
		{nil, 50, "there are more: --limit 500 or 0 for all\n", []string{"GET /api/v1/keys?limit=51"}},
		{[]string{"--limit", "2"}, 2, "there are more: --limit 20 or 0 for all\n", []string{"GET /api/v1/keys?limit=3"}},
		{[]string{"--limit", "1000"}, 1000, "there are more: --limit 10000 or 0 for all\n", []string{
			"GET /api/v1/keys?limit=1000", "GET /api/v1/keys?cursor=1000&limit=1000",
		}},
		{[]string{"--limit", "2500"}, 2500, "", []string{
			"GET /api/v1/keys?limit=1000", "GET /api/v1/keys?cursor=1000&limit=1000", "GET /api/v1/keys?cursor=2000&limit=1000",
		}},
		{[]string{"--limit", "0"}, 2500, "", []string{
			"GET /api/v1/keys?limit=1000", "GET /api/v1/keys?cursor=1000&limit=1000", "GET /api/v1/keys?cursor=2000&limit=1000",
		}},
	} {
		s.requests = nil
		got := run(t, "", append([]string{"keys", "list"}, test.args...)...)
		require.Zero(t, got.code, got.stderr)
		require.Equal(t, test.more, got.stderr)
		require.Equal(t, test.rows+1, strings.Count(got.stdout, "\n"), "and a header")
		require.Equal(t, test.requests, s.lines())
	}
	require.Equal(t, 2, run(t, "", "keys", "list", "--limit", "-1").code)
}

func TestListIsATableOrTheJSONOfTheAPI(t *testing.T) {
	const rows = `{"data":[` + keyJSON + `,{"id":"k2","name":"b","keyspace":"default","owner":"o","plan":"free","environment":"test","status":"active","secrets":[],
		"expires_at":null,"revoked_at":null,"suspended_until":null,"allowed_ips":[],"permissions":[],"methods":[],"endpoints":[],"rules":[],"tags":[],
		"metadata":{},"last_used_at":null,"total_requests":0,"total_units":0,"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}]`
	s := start(t, map[string]reply{"GET /api/v1/keys": ok(rows + `,"next_cursor":null}`)})
	require.Equal(t, ""+
		"ID  NAME      STATUS     OWNER    PLAN  KEYSPACE  SECRET           EXPIRES              CREATED\n"+
		"k1  Checkout  suspended  cust_42  pro   default   viva_live_…wXyZ  2027-03-01 12:00:00  2026-03-01 12:00:00\n"+
		"k2  b         active     o        free  default   -                -                    2026-03-01 12:00:00\n",
		run(t, "", "keys", "list").stdout)
	require.JSONEq(t, rows+"}", run(t, "", "keys", "list", "-o", "json").stdout)

	s.answers["GET /api/v1/keys"] = ok(`{"data":[],"next_cursor":null}`)
	require.Equal(t, "ID  NAME  STATUS  OWNER  PLAN  KEYSPACE  SECRET  EXPIRES  CREATED\n", run(t, "", "keys", "list").stdout)
	require.JSONEq(t, `{"data":[]}`, run(t, "", "keys", "list", "-o", "json").stdout)
}

func TestListThatBreaksOffIsAFailure(t *testing.T) {
	start(t, map[string]reply{"GET /api/v1/keys": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") != "" {
			problem(apierror.New(apierror.CodeForbidden, "No longer"))(w, r)
			return
		}
		ok(`{"data":[{"id":"k1"}],"next_cursor":"x"}`)(w, r)
	}})
	for _, output := range []string{"table", "json"} {
		got := run(t, "", "keys", "list", "-o", output)
		require.Equal(t, 1, got.code)
		require.Contains(t, got.stderr, "No longer")
	}
}

func TestTextDoesNotCommandTheTerminal(t *testing.T) {
	const nasty = `{"id":"k1","name":"a\u001b[2Jb\tc\nd","created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	start(t, map[string]reply{
		"GET /api/v1/keys":            ok(`{"data":[` + nasty + `],"next_cursor":null}`),
		"GET /api/v1/keys/k1":         ok(nasty),
		"POST /api/v1/keys/k1/revoke": ok(nasty),
		"GET /api/v1/keys/k2":         problem(apierror.New(apierror.CodeNotFound, "a\x1b[2Jb")),
	})
	for _, args := range [][]string{{"list"}, {"get", "k1"}, {"revoke", "k1"}, {"get", "k2"}, {"get", "k1", "-o", "json"}} {
		got := run(t, "", append([]string{"keys"}, args...)...)
		require.NotContains(t, got.stdout+got.stderr, "\x1b", args)
		require.Contains(t, got.stdout+got.stderr, "[2Jb", args)
	}
}

func TestErasureIsConfirmed(t *testing.T) {
	s := start(t, map[string]reply{"DELETE /api/v1/keys/k1": status(204, "")})
	got := run(t, "y\n", "keys", "erase", "k1")
	require.Equal(t, 2, got.code)
	require.Equal(t, "viva: nobody is there to confirm it: --yes does\n", got.stderr)

	// A device of characters, as a terminal is; whoever sits there is gone.
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	got = runWith(t.Context(), null, "keys", "erase", "k1")
	require.Equal(t, 1, got.code)
	require.Equal(t, "Erase key k1 for ever? [y/N] viva: nothing was done\n", got.stderr)
	require.Empty(t, s.requests)

	require.Zero(t, run(t, "", "keys", "erase", "k1", "-y").code)
	require.Equal(t, []string{"DELETE /api/v1/keys/k1"}, s.lines())
}

func TestBadInputIsNotSent(t *testing.T) {
	s := start(t, nil)
	for want, args := range map[string][]string{
		"--from says it all: take the argument away":         {"keys", "create", "a", "--from", "-"},
		"--from says it all: take --owner away":              {"keys", "create", "--owner", "o", "--from", "-"},
		"--from says it all: take --rule away":               {"plans", "publish", "pro", "--from", "-", "--rule", "name=a,limit=1,window=1s"},
		"open /nowhere: no such file or directory":           {"plans", "create", "--from", "/nowhere"},
		"--from: not well-formed JSON, at byte 1":            {"owners", "create", "--from", write(t, "x")},
		"--from: it must be a JSON object":                   {"owners", "create", "--from", write(t, "[]")},
		"--from: name must not be a JSON number":             {"owners", "create", "--from", write(t, `{"name":1}`)},
		"--from: nam is no member the API knows":             {"keys", "create", "--from", write(t, `{"nam":"a"}`)},
		"--from: NAME is no member the API knows":            {"keys", "create", "--from", write(t, `{"NAME":"a"}`)},
		"--from: rules[1].windwo is no member the API knows": {"plans", "create", "--from", write(t, `{"name":"a","rules":[{"name":"a"},{"windwo":"1s"}]}`)},
		"--from: a time must be written as":                  {"keys", "create", "--from", write(t, `{"name":"a","expires_at":"soon"}`)},
		"--clear must be one of: expires, allow-ip":          {"keys", "update", "k1", "--clear", "name"},
		"the standard input holds no key":                    {"keys", "lookup", "-"},
		"--ip must be an IPv4 or IPv6 address":               {"check", "x", "--ip", "localhost"},
		"a rule says window=":                                {"keys", "create", "a", "--rule", "name=a,limit=1"},
		"what has a period is a quota: use --quota":          {"keys", "create", "a", "--rule", "name=a,limit=1,period=day"},
		"a quota says period=day or period=month":            {"keys", "create", "a", "--quota", "name=a,limit=1,window=1s"},
		"it says name= and limit=":                           {"keys", "create", "a", "--rule", "name=a,window=1s"},
		"limit must be a whole number from 1":                {"keys", "create", "a", "--rule", "name=a,limit=0,window=1s"},
		"burst must be a whole number from 1":                {"keys", "create", "a", "--rule", "name=a,limit=1,window=1s,burst=0"},
		"window must be a duration such as 30s or 1h":        {"keys", "create", "a", "--rule", "name=a,limit=1,window=1"},
		"shadow must be true or false":                       {"keys", "create", "a", "--rule", "name=a,limit=1,window=1s,shadow=maybe"},
		"limit is there twice":                               {"keys", "create", "a", "--rule", "name=a,limit=1,limit=2,window=1s"},
		"it may say name, limit, window or period":           {"keys", "create", "a", "--rule", "name=a,limit=1,windwo=1s"},
	} {
		got := run(t, "", args...)
		require.Contains(t, got.stderr, want)
		require.Equal(t, 2, got.code)
	}
	require.Empty(t, s.requests)
}
