package controllers_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

// failJob leaves a job that was given up.
func (s *server) failJob(kind models.JobKind, subject, message string) {
	s.t.Helper()
	jobs, ctx := repositories.NewJobs(s.db), s.t.Context()
	require.NoError(s.t, jobs.Touch(ctx, kind, subject, 0))
	// Those before failed earlier, also where all of this takes less than the clock's step.
	_, err := s.db.Pool().ExecContext(ctx, "UPDATE jobs SET failed_at = failed_at - 10000")
	require.NoError(s.t, err)
	job, err := jobs.Load(ctx, kind, subject)
	require.NoError(s.t, err)
	require.NoError(s.t, jobs.Fail(ctx, job, message, true))
}

// actions are those of the audit log, latest first.
func (s *server) actions(kind string) (list []string) {
	s.t.Helper()
	entries, _ := s.do(http.MethodGet, "/api/v1/admin/audit-logs?object_kind="+kind, "").is(http.StatusOK).object()["data"].([]any)
	for _, entry := range entries {
		e := entry.(map[string]any)
		list = append(list, e["action"].(string)+" "+e["object_id"].(string))
	}
	return list
}

func TestQueuesTellHowTheyAre(t *testing.T) {
	s := newServer(t)
	s.failJob(models.JobNotifyDeliver, "d1", "refused")
	require.NoError(t, repositories.NewJobs(s.db).Touch(t.Context(), models.JobAlertCheck, "", 0))
	got := s.do(http.MethodGet, "/api/v1/admin/queues", "").is(http.StatusOK).object()
	queue := func(name string) map[string]any {
		return map[string]any{
			"name": name, "size": 0., "pending": 0., "active": 0., "scheduled": 0., "retry": 0., "archived": 0.,
			"processed_today": 0., "failed_today": 0., "latency_ms": 0., "paused": false,
		}
	}
	require.Equal(t, []any{queue("critical"), queue("default"), queue("low")}, got["queues"])
	kinds := got["kinds"].([]any)
	require.Len(t, kinds, 2)
	waiting := kinds[0].(map[string]any)
	require.InDelta(t, 0, waiting["oldest_due_ms"], 60_000)
	delete(waiting, "oldest_due_ms")
	require.Equal(t, map[string]any{"kind": "alert:check", "waiting": 1., "due": 1., "failed": 0.}, waiting)
	require.Equal(t, map[string]any{"kind": "notify:deliver", "waiting": 0., "due": 0., "failed": 1., "oldest_due_ms": 0.}, kinds[1])
}

func TestQueueIsPausedAndResumedOnRecord(t *testing.T) {
	s := newServer(t)
	paused := func() any {
		return s.do(http.MethodGet, "/api/v1/admin/queues", "").is(http.StatusOK).object()["queues"].([]any)[2].(map[string]any)["paused"]
	}
	for range 2 {
		got := s.do(http.MethodPost, "/api/v1/admin/queues/low/pause", "").is(http.StatusOK).object()
		require.Equal(t, map[string]any{"name": "low", "paused": true}, got)
		require.Equal(t, true, paused())
	}
	for range 2 {
		s.do(http.MethodPost, "/api/v1/admin/queues/low/resume", "").is(http.StatusOK)
		require.Equal(t, false, paused())
	}
	require.Equal(t, []string{"queue.resume low", "queue.pause low"}, s.actions("queue"), "once each: repeating changes nothing")
	s.do(http.MethodPost, "/api/v1/admin/queues/urgent/pause", "").is(http.StatusNotFound)
}

func TestFailedTasksAreListedRetriedAndDeleted(t *testing.T) {
	s := newServer(t)
	for _, subject := range []string{"d1", "d2", "d3", "d4"} {
		s.failJob(models.JobNotifyDeliver, subject, "=refused")
	}
	s.failJob(models.JobAlertCheck, "", "no")
	require.NoError(t, repositories.NewJobs(s.db).Touch(t.Context(), models.JobNotifyDeliver, "waits", 0))

	list := func(query string) (subjects []string) {
		t.Helper()
		for cursor := ""; ; {
			page := s.do(http.MethodGet, "/api/v1/admin/queues/tasks?limit=2"+query+cursor, "").is(http.StatusOK).object()
			for _, each := range page["data"].([]any) {
				subjects = append(subjects, each.(map[string]any)["subject"].(string))
			}
			next, more := page["next_cursor"].(string)
			if !more {
				return subjects
			}
			cursor = "&cursor=" + url.QueryEscape(next)
		}
	}
	require.Equal(t, []string{"", "d4", "d3", "d2", "d1"}, list(""))
	require.Equal(t, []string{"d4", "d3", "d2", "d1"}, list("&kind=notify:deliver"))
	require.Equal(t, []string{"waits"}, list("&state=waiting"))
	task := s.do(http.MethodGet, "/api/v1/admin/queues/tasks?kind=alert:check", "").is(http.StatusOK).object()["data"].([]any)[0].(map[string]any)
	require.Equal(t, "failed", task["state"])
	require.Equal(t, "no", task["last_error"])
	require.EqualValues(t, 1, task["failures"])
	require.NotNil(t, task["failed_at"])
	table := s.do(http.MethodGet, "/api/v1/admin/queues/tasks", "", "Accept", "text/csv").is(http.StatusOK).Body.String()
	require.True(t, strings.HasPrefix(table, "kind,subject,state,due_at,failures,last_error,failed_at,created_at\r\n"), table)
	require.Contains(t, table, ",'=refused,", "no formula")

	settle := func(verb, body string) any {
		t.Helper()
		return s.do(http.MethodPost, "/api/v1/admin/queues/tasks/"+verb, body).is(http.StatusOK).object()["tasks"]
	}
	require.EqualValues(t, 1, settle("retry", `{"kind":"alert:check","subject":""}`))
	require.EqualValues(t, 1, settle("delete", `{"kind":"notify:deliver","subject":"d1"}`))
	require.EqualValues(t, 1, settle("retry", `{"kind":"notify:deliver","subject":"d2"}`))
	require.EqualValues(t, 2, settle("retry", `{"kind":"notify:deliver","all":true}`))
	require.EqualValues(t, 0, settle("delete", `{"kind":"notify:deliver","all":true}`))
	s.do(http.MethodPost, "/api/v1/admin/queues/tasks/retry", `{"kind":"notify:deliver","subject":"d2"}`).is(http.StatusNotFound)
	s.do(http.MethodPost, "/api/v1/admin/queues/tasks/delete", `{"kind":"notify:deliver","subject":"waits"}`).is(http.StatusNotFound)
	require.Empty(t, list(""))
	require.ElementsMatch(t, []string{"", "d2", "d3", "d4", "waits"}, list("&state=waiting"))
	require.Equal(t, []string{
		"job.retry notify:deliver", "job.retry notify:deliver:d2", "job.delete notify:deliver:d1", "job.retry alert:check:",
	}, s.actions("job"), "what did nothing is not on record")
}

func TestTasksToSettleAreNamedExactly(t *testing.T) {
	s := newServer(t)
	s.failJob(models.JobNotifyDeliver, "d1", "refused")
	for body, field := range map[string]string{
		`{"kind":"notify:deliver"}`:                           "body subject",
		`{"kind":"notify:deliver","subject":"d1","all":true}`: "body all",
		`{"subject":"d1"}`:                                    "body kind",
		`{"kind":"notify:deliver","subject":"d1","x":1}`:      "body x",
	} {
		for _, verb := range []string{"retry", "delete"} {
			_, fields := s.do(http.MethodPost, "/api/v1/admin/queues/tasks/"+verb, body).is(http.StatusUnprocessableEntity).problem()
			require.Contains(t, fields, field, body)
		}
	}
	s.do(http.MethodGet, "/api/v1/admin/queues/tasks?state=running", "").is(http.StatusUnprocessableEntity)
	require.Empty(t, s.actions("job"))
}
