package queue_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/testenv"
)

const (
	kindA models.JobKind = "test:a"
	kindB models.JobKind = "test:b"
)

// patience is how long a test waits for what is to come.
const patience = time.Minute

// house is a database with what reads and writes its jobs.
type house struct {
	db   *repositories.DB
	jobs repositories.Jobs
}

func postgres(t *testing.T) house {
	t.Helper()
	return postgresAt(t, testenv.Postgres(t))
}

func postgresAt(t *testing.T, url string) house {
	t.Helper()
	db := repotest.Migrated(t, time.Now, func(o repositories.Options) (*repositories.DB, error) {
		return repositories.OpenPostgres(t.Context(), url, o)
	})
	return house{db, repositories.NewJobs(db)}
}

func sqlite(t *testing.T) house {
	t.Helper()
	db := repotest.OpenSQLite(t, time.Now)
	return house{db, repositories.NewJobs(db)}
}

func (h house) lock(ctx context.Context) (queue.Lock, bool, error) {
	lock, ok, err := h.db.AdvisoryLock(ctx, "jobs")
	return lock, ok, err
}

func (h house) touch(t *testing.T, kind models.JobKind, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		require.NoError(t, h.jobs.Touch(t.Context(), kind, subject, 0))
	}
}

// empty waits until no job is left.
func (h house) empty(t *testing.T) {
	t.Helper()
	h.until(t, "every job is done", func(list []models.Job) bool { return len(list) == 0 })
}

// until waits for the jobs to be as they should.
func (h house) until(t *testing.T, what string, check func(waiting []models.Job) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		list, err := h.jobs.List(t.Context(), models.JobFilter{State: models.JobWaiting}, models.Page{Limit: 1000})
		return err == nil && check(list)
	}, patience, 20*time.Millisecond, what)
}

// failed waits for a job that was given up.
func (h house) failed(t *testing.T) models.Job {
	t.Helper()
	var list []models.Job
	require.Eventually(t, func() bool {
		var err error
		list, err = h.jobs.List(t.Context(), models.JobFilter{State: models.JobFailed}, models.Page{})
		return err == nil && len(list) == 1
	}, patience, 20*time.Millisecond, "a job is given up")
	return list[0]
}

func client(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	c := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func embedded(t *testing.T) redis.UniversalClient {
	t.Helper()
	e, err := queue.OpenEmbedded()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e.Client()
}

// worker starts one over the house. It stops with the test, or when it is told.
func (h house) worker(t *testing.T, redis redis.UniversalClient, change func(o *queue.Options), kinds ...queue.Kind) (stop func()) {
	t.Helper()
	o := queue.Options{
		Kinds: kinds, Rows: h.jobs, Source: h.jobs, Lock: h.lock, Redis: redis, Namespace: "viva", Node: t.Name(),
		Concurrency: 4, Weights: queue.Weights{Critical: 10, Default: 5, Low: 1}, ShutdownTimeout: time.Second,
		Now: time.Now, Log: zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)),
		SweepEvery: 20 * time.Millisecond, Resend: 500 * time.Millisecond, LockEvery: 100 * time.Millisecond, PollEvery: 20 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	w, err := queue.New(o)
	require.NoError(t, err)
	require.NoError(t, w.Start(t.Context()))
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		require.NoError(t, w.Stop(ctx))
	})
	t.Cleanup(stop)
	return stop
}

// kind is a kind of no urgency.
func kind(name models.JobKind, handle queue.Handler) queue.Kind {
	return queue.Kind{Name: name, Queue: queue.Default, Timeout: time.Minute, MaxRetries: queue.DefaultRetries, Handle: handle}
}

// counts remembers how often each subject was handled.
type counts struct {
	mu   sync.Mutex
	runs map[string]int
}

func (c *counts) add(subject string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs == nil {
		c.runs = map[string]int{}
	}
	c.runs[subject]++
	return c.runs[subject]
}

func (c *counts) of(subject string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runs[subject]
}

func (c *counts) handle(_ context.Context, subject string) (time.Duration, error) {
	c.add(subject)
	return 0, nil
}
