package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const queuesJSON = `{"queues":[{"name":"critical","size":7,"pending":1,"active":2,"scheduled":0,"retry":3,"archived":1,"processed_today":40,"failed_today":5,
	"latency_ms":1500,"paused":true}],"kinds":[{"kind":"notify:deliver","waiting":6,"due":3,"oldest_due_ms":61000,"failed":2}]}`

func TestQueuesAreLookedAtAndSettled(t *testing.T) {
	answers := map[string]reply{
		"GET /api/v1/admin/queues": ok(queuesJSON),
		"GET /api/v1/admin/queues/tasks": ok(`{"data":[{"kind":"notify:deliver","subject":"d1","state":"failed","due_at":"2026-03-01T12:00:00Z","failures":9,
			"last_error":"refused","failed_at":"2026-03-01T12:05:00Z","created_at":"2026-03-01T12:00:00Z"}],"next_cursor":null}`),
		"POST /api/v1/admin/queues/tasks/retry": ok(`{"tasks":1}`), "POST /api/v1/admin/queues/tasks/delete": ok(`{"tasks":2}`),
		"POST /api/v1/admin/queues/low/pause": ok(`{"name":"low","paused":true}`), "POST /api/v1/admin/queues/low/resume": ok(`{"name":"low","paused":false}`),
	}
	for name, test := range map[string]struct {
		args            []string
		line, body, out string
	}{
		"list": {
			args: []string{"queues", "list"}, line: "GET /api/v1/admin/queues",
			out: "QUEUE     PENDING  ACTIVE  SCHEDULED  RETRY  ARCHIVED  PROCESSED TODAY  FAILED TODAY  LATENCY  PAUSED\n" +
				"critical  1        2       0          3      1         40               5             1.5s     true\n" +
				"\n" +
				"KIND            WAITING  DUE  OLDEST DUE  FAILED\n" +
				"notify:deliver  6        3    1m1s        2\n",
		},
		"tasks": {
			args: []string{"queues", "tasks", "--kind", "notify:deliver"}, line: "GET /api/v1/admin/queues/tasks?kind=notify%3Adeliver&limit=51&state=failed",
			out: "KIND            SUBJECT  STATE   DUE                  FAILURES  FAILED               LAST ERROR\n" +
				"notify:deliver  d1       failed  2026-03-01 12:00:00  9         2026-03-01 12:05:00  refused\n",
		},
		"retry one": {
			args: []string{"queues", "retry", "notify:deliver", "d1"}, line: "POST /api/v1/admin/queues/tasks/retry",
			body: `{"kind":"notify:deliver","subject":"d1"}`, out: "1 to be tried again\n",
		},
		"retry that of the installation": {
			args: []string{"queues", "retry", "alert:check", ""}, line: "POST /api/v1/admin/queues/tasks/retry",
			body: `{"kind":"alert:check","subject":""}`, out: "1 to be tried again\n",
		},
		"delete all": {
			args: []string{"queues", "delete", "notify:deliver", "--all", "--yes"}, line: "POST /api/v1/admin/queues/tasks/delete",
			body: `{"kind":"notify:deliver","all":true}`, out: "2 forgotten\n",
		},
		"pause":  {args: []string{"queues", "pause", "low"}, line: "POST /api/v1/admin/queues/low/pause", out: "paused low\n"},
		"resume": {args: []string{"queues", "resume", "low"}, line: "POST /api/v1/admin/queues/low/resume", out: "resumed low\n"},
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
}

func TestJobsToSettleAreNamedExactly(t *testing.T) {
	s := start(t, nil)
	for _, args := range [][]string{
		{"retry"}, {"retry", "notify:deliver"}, {"retry", "notify:deliver", "d1", "--all"}, {"retry", "a", "b", "c"}, {"tasks", "--state", "running"},
	} {
		require.Equal(t, 2, run(t, "", append([]string{"queues"}, args...)...).code, args)
	}
	require.Empty(t, s.lines())
}
