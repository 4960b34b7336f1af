package app

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/testenv"
)

// queues asks how the queues and the kinds of jobs are.
func (p *process) queues() (queues, kinds []object) {
	p.t.Helper()
	answer := p.do("GET", "/api/v1/admin/queues", nil)
	for _, q := range answer["queues"].([]any) {
		queues = append(queues, q.(object))
	}
	for _, k := range answer["kinds"].([]any) {
		kinds = append(kinds, k.(object))
	}
	return queues, kinds
}

// upkeepDone waits until the jobs that a process asks for when it starts are done.
func (p *process) upkeepDone() {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		queues, kinds := p.queues()
		for _, k := range kinds {
			if k["kind"] == string(models.JobUsagePartitions) || k["failed"] != 0. {
				return false
			}
		}
		return queues[2]["processed_today"].(float64) >= 6 && queues[2]["failed_today"] == 0.
	}, time.Minute, 50*time.Millisecond)
}

func TestUpkeepIsDoneByJobsOnEveryEngine(t *testing.T) {
	t.Run("serve alone", func(t *testing.T) {
		t.Parallel()
		run(t, config.RoleServe).upkeepDone()
	})
	t.Run("serve on PostgreSQL", func(t *testing.T) {
		t.Parallel()
		run(t, config.RoleServe, "VIVA_DATABASE_URL="+testenv.Postgres(t)).upkeepDone()
	})
	t.Run("api and workers", func(t *testing.T) {
		t.Parallel()
		environ := append(shared(t), "VIVA_REDIS_POOL_SIZE=5", "VIVA_QUEUE_REDIS_URL="+testenv.Redis(t), "VIVA_QUEUE_STRICT_PRIORITY=true")
		api := run(t, config.RoleAPI, environ...)
		for range 2 {
			run(t, config.RoleWorker, environ...)
		}
		api.upkeepDone()
	})
}

func TestAWorkerIsReadyWithItsQueueAlone(t *testing.T) {
	server := testenv.RedisServer(t)
	p := run(t, config.RoleWorker, append(shared(t), "VIVA_QUEUE_REDIS_URL="+server.URL())...)
	ready := func() (int, object) {
		status, answer := p.call("GET", "/health/ready", nil)
		states := object{}
		for _, d := range answer["dependencies"].([]any) {
			states[d.(object)["name"].(string)] = d.(object)["status"]
		}
		return status, states
	}
	status, states := ready()
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, object{"database": "ok", "redis": "ok", "queue": "ok"}, states)
	server.Kill()
	status, states = ready()
	require.Equal(t, http.StatusServiceUnavailable, status, "it can do none of its work")
	require.Equal(t, object{"database": "ok", "redis": "ok", "queue": "unavailable"}, states)
	server.Start()
	require.Eventually(t, func() bool { status, _ := ready(); return status == http.StatusOK }, 10*time.Second, 50*time.Millisecond)
}

func TestAWorkerTellsPrometheusOfJobs(t *testing.T) {
	p := run(t, config.RoleWorker, shared(t)...)
	require.Eventually(t, func() bool {
		response, err := http.Get(p.URL() + "/metrics")
		require.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return strings.Contains(string(text), "viva_jobs_up 1\n") &&
			regexp.MustCompile(`viva_job_runs_total\{kind="usage:partitions",result="done"\} [1-9]`).Match(text) && strings.Contains(string(text), "go_goroutines ")
	}, 10*time.Second, 50*time.Millisecond)
}
