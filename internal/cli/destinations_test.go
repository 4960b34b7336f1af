package cli_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	destinationJSON = `{"id":"d1","name":"on-call","type":"webhook","url":"https://a.test/?…","headers":{"X":"…"},"to":[],"to_owner":false,
		"events":["alert.*"],"min_severity":"info","rate_per_minute":60,"secret_previous_until":"2026-03-01T12:00:00Z",
		"disabled_at":null,"disabled_reason":"","failing_since":"2026-03-01T12:00:00Z",
		"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}`
	destinationText = `id                 d1
name               on-call
type               webhook
goes to            https://a.test/?…
events             alert.*
severity           info
failing since      2026-03-01 12:00:00
disabled           -
why disabled       -
headers            X=…
rate per minute    60
two secrets until  2026-03-01 12:00:00
created            2026-03-01 12:00:00
updated            2026-03-01 12:00:00
etag               "3-5f1c"
`
	deliveryJSON = `{"id":"x1","destination_id":"d1","owner_id":null,"to":"","origin_id":null,"state":"failed","message_id":"m","title":"Look","events":4,
		"attempts":1,"next_at":null,"finished_at":"2026-03-01T12:00:00Z","created_at":"2026-03-01T12:00:00Z"}`
	deliveryDetail = `,"message":{"id":"m","at":"2026-03-01T12:00:00Z","omitted":3,"events":[{"id":"n","type":"alert.active",
		"at":"2026-03-01T12:00:00Z","severity":"warning","title":"Look","text":"","owner_id":"","owner":"","key_id":"","data":{}}]},
		"tries":[{"number":1,"at":"2026-03-01T12:00:00Z","done_at":"2026-03-01T12:00:01Z","took_ms":1000,"delivered":false,"status":500,
			"request":"POST","response":"oops","error":"HTTP\n500"}]}`
	deliveryText = `id           x1
destination  d1
state        failed
title        Look
events       4
attempts     1
created      2026-03-01 12:00:00
next         -
finished     2026-03-01 12:00:00
to           -
message      m
sends again  -
tells of     2026-03-01 12:00:00 warning alert.active: Look
             and 3 more
tries        1. 2026-03-01 12:00:00, status 500 after 1000 ms: HTTP 500
`
)

func TestDestinationsAreAdministeredAndDeliveriesLookedAt(t *testing.T) {
	created := status(201, strings.TrimSuffix(destinationJSON, "}")+`,"secret":"whsec_x"}`)
	detail := strings.TrimSuffix(deliveryJSON, "}") + deliveryDetail
	const path = "/api/v1/destinations/on-call"
	answers := map[string]reply{
		"POST /api/v1/destinations": created, "GET " + path: ok(destinationJSON), "PATCH " + path: ok(destinationJSON), "DELETE " + path: status(204, ""),
		"GET /api/v1/destinations": ok(`{"data":[` + destinationJSON + `],"next_cursor":null}`),
		"POST " + path + "/enable": ok(destinationJSON), "POST " + path + "/disable": ok(destinationJSON), "POST " + path + "/rotate-secret": created,
		"POST " + path + "/test": ok(strings.Replace(detail, `"failed"`, `"delivered"`, 1)),
		"GET /api/v1/deliveries": ok(`{"data":[` + deliveryJSON + `],"next_cursor":null}`), "GET /api/v1/deliveries/x1": ok(detail),
		"POST /api/v1/deliveries/x1/redeliver": status(201, deliveryJSON),
	}
	for name, test := range map[string]struct {
		args  []string
		stdin string
		line  string
		body  string
		out   string
	}{
		"create": {
			args: []string{
				"destinations", "create", "on-call", "--type", "webhook", "--url", "https://a.test", "--header", "X=y", "--event", "alert.*",
				"--min-severity", "warning", "--rate", "7",
			},
			line: "POST /api/v1/destinations", out: "whsec_x\n",
			body: `{"name":"on-call","type":"webhook","url":"https://a.test","headers":{"X":"y"},"events":["alert.*"],"min_severity":"warning","rate_per_minute":7}`,
		},
		"create from a file": {
			args: []string{"destinations", "create", "--from", "-"}, stdin: `{"name":"o","type":"email","to_owner":true}`,
			line: "POST /api/v1/destinations", body: `{"name":"o","type":"email","to_owner":true}`, out: "whsec_x\n",
		},
		"get": {args: []string{"destinations", "get", "on-call"}, line: "GET " + path, out: destinationText},
		"list": {
			args: []string{"destinations", "list", "--sort", "name"}, line: "GET /api/v1/destinations?limit=51&sort=name",
			out: "ID  NAME     TYPE     GOES TO            EVENTS   SEVERITY  FAILING SINCE        DISABLED\n" +
				"d1  on-call  webhook  https://a.test/?…  alert.*  info      2026-03-01 12:00:00  -\n",
		},
		"update": {
			args: []string{"destinations", "update", "on-call", "--name", "other", "--clear", "event,header", "--rate", "9", "--to-owner=false"},
			line: "PATCH " + path, body: `{"name":"other","events":null,"headers":null,"rate_per_minute":9,"to_owner":false}`, out: destinationText,
		},
		"delete":  {args: []string{"destinations", "delete", "on-call", "-y"}, line: "DELETE " + path, out: "deleted on-call\n"},
		"enable":  {args: []string{"destinations", "enable", "on-call"}, line: "POST " + path + "/enable", out: "enabled on-call (d1)\n"},
		"disable": {args: []string{"destinations", "disable", "on-call", "--reason", "why"}, line: "POST " + path + "/disable", body: `{"reason":"why"}`, out: "disabled on-call (d1)\n"},
		"rotate": {
			args: []string{"destinations", "rotate-secret", "on-call", "--grace", "1h"}, line: "POST " + path + "/rotate-secret",
			body: `{"grace":"1h"}`, out: "whsec_x\n",
		},
		"test": {
			args: []string{"destinations", "test", "on-call", "--to", "me@a.test"}, line: "POST " + path + "/test", body: `{"to":"me@a.test"}`,
			out: strings.Replace(deliveryText, "failed", "delivered", 1),
		},
		"deliveries": {
			args: []string{"deliveries", "list", "--destination", "on-call", "--state", "failed", "--since", "2026-03-01T12:00:00Z"},
			line: "GET /api/v1/deliveries?destination=on-call&limit=51&since=2026-03-01T12%3A00%3A00Z&state=failed",
			out: "ID  DESTINATION  STATE   TITLE  EVENTS  ATTEMPTS  CREATED              NEXT\n" +
				"x1  d1           failed  Look   4       1         2026-03-01 12:00:00  -\n",
		},
		"delivery":  {args: []string{"deliveries", "show", "x1"}, line: "GET /api/v1/deliveries/x1", out: deliveryText},
		"redeliver": {args: []string{"deliveries", "redeliver", "x1"}, line: "POST /api/v1/deliveries/x1/redeliver", out: "sends it again by delivery x1\n"},
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
	t.Run("a test that failed fails", func(t *testing.T) {
		start(t, map[string]reply{"POST " + path + "/test": ok(detail)})
		got := run(t, "", "destinations", "test", "on-call")
		require.NotZero(t, got.code)
		require.Equal(t, deliveryText, got.stdout)
		require.Contains(t, got.stderr, "did not come to on-call")
	})
	for _, bad := range [][]string{
		{"destinations", "create"}, {"destinations", "create", "x", "--type", "pigeon"}, {"deliveries", "list", "--since", "soon"},
	} {
		start(t, nil)
		require.Equal(t, 2, run(t, "", bad...).code, bad)
	}
}
