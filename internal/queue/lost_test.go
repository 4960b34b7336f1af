package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/testenv"
)

func TestJobsSurviveTheLossOfRedisMemory(t *testing.T) {
	h, redis := postgres(t), client(t, testenv.Redis(t))
	inspector := queue.NewInspector(redis, "viva")
	_, err := inspector.SetPaused(t.Context(), "default", true)
	require.NoError(t, err)
	var done counts
	h.worker(t, redis, nil, kind(kindA, done.handle))
	subjects := make([]string, 40)
	for i := range subjects {
		subjects[i] = fmt.Sprint(i)
	}
	h.touch(t, kindA, subjects...)
	h.until(t, "all wait in the queue", func(list []models.Job) bool {
		for i := range list {
			if list[i].SentAt == nil {
				return false
			}
		}
		return len(list) == len(subjects)
	})
	require.NoError(t, redis.FlushDB(t.Context()).Err()) // the pause is gone with it
	h.empty(t)
	for _, subject := range subjects {
		require.Equal(t, 1, done.of(subject), subject)
	}
}

func TestJobsSurviveTheEndOfTheEmbeddedQueue(t *testing.T) {
	h := sqlite(t)
	first, err := queue.OpenEmbedded()
	require.NoError(t, err)
	_, err = queue.NewInspector(first.Client(), "viva").SetPaused(t.Context(), "default", true)
	require.NoError(t, err)
	var done counts
	long := func(o *queue.Options) { o.Resend = time.Hour }
	stop := h.worker(t, first.Client(), long, kind(kindA, done.handle))
	h.touch(t, kindA, "a")
	h.until(t, "it is sent", func(list []models.Job) bool { return len(list) == 1 && list[0].SentAt != nil })
	stop()
	require.NoError(t, first.Close())

	require.NoError(t, h.jobs.ForgetSent(t.Context()))
	h.worker(t, embedded(t), long, kind(kindA, done.handle))
	h.empty(t)
	require.Equal(t, 1, done.of("a"))
}

func TestJobsWaitForRedisToComeBack(t *testing.T) {
	h, server := postgres(t), testenv.RedisServer(t)
	redis := client(t, server.URL())
	var done counts
	h.worker(t, redis, nil, kind(kindA, done.handle))
	h.touch(t, kindA, "before")
	h.empty(t)
	server.Kill()
	h.touch(t, kindA, "meanwhile", "too")
	server.Start()
	h.empty(t)
	require.Equal(t, 1, done.of("meanwhile"))
	require.Equal(t, 1, done.of("too"))
}

// dead gives up every task without telling, as a worker does that dies at it.
type dead struct{}

func (dead) ProcessTask(context.Context, *asynq.Task) error {
	return fmt.Errorf("asynq: task lease expired: %w", asynq.SkipRetry)
}

func TestJobThatTheQueueGaveUpIsGivenUp(t *testing.T) {
	everywhere(t, func(t *testing.T, h house, redis redis.UniversalClient) {
		server := asynq.NewServerFromRedisClient(redis, asynq.Config{Concurrency: 1, Queues: map[string]int{"viva-default": 1}, LogLevel: asynq.FatalLevel})
		require.NoError(t, server.Start(dead{}))
		end := sync.OnceFunc(server.Shutdown)
		t.Cleanup(end)
		var done counts
		h.worker(t, redis, func(o *queue.Options) {
			o.Weights = queue.Weights{Critical: 1} // it works on another queue
		}, kind(kindA, done.handle))
		h.touch(t, kindA, "a")
		require.Equal(t, "asynq: task lease expired: skip retry for the task", h.failed(t).LastError)
		end()
		require.Zero(t, done.of("a"))
	})
}

// unsteady rows are out of reach for a while.
type unsteady struct {
	queue.Rows
	away *atomic.Bool
}

var errAway = errors.New("the database is away")

func (u unsteady) Load(ctx context.Context, kind models.JobKind, subject string) (*models.Job, error) {
	if u.away.Load() {
		return nil, errAway
	}
	return u.Rows.Load(ctx, kind, subject)
}

func (u unsteady) Finish(ctx context.Context, job *models.Job) error {
	if u.away.CompareAndSwap(false, true) {
		return errAway
	}
	return u.Rows.Finish(ctx, job)
}

func TestAbsenceOfTheDatabaseIsNoFailureOfTheJob(t *testing.T) {
	h, redis := sqlite(t), embedded(t)
	var (
		done counts
		away atomic.Bool
	)
	k := kind(kindA, done.handle)
	k.MaxRetries = 0
	h.worker(t, redis, func(o *queue.Options) { o.Rows = unsteady{h.jobs, &away} }, k)
	h.touch(t, kindA, "a")
	require.Eventually(t, func() bool { return done.of("a") == 1 && away.Load() }, patience, 10*time.Millisecond)
	// It is tried again though it may not be retried at all: and then finds the
	// database again, to which it had not come to say that it was done.
	state := func() models.QueueState {
		states, err := queue.NewInspector(redis, "viva").Queues(t.Context())
		require.NoError(t, err)
		return states[1]
	}
	require.Eventually(t, func() bool { return state().Retry == 1 }, patience, 10*time.Millisecond)
	require.Zero(t, state().Failed)
	h.worker(t, redis, nil, k)
	h.empty(t)
	require.Equal(t, 2, done.of("a"))
}

func TestWorkerStartsAndStopsWithoutRedis(t *testing.T) {
	h, server := sqlite(t), testenv.RedisServer(t)
	redis := client(t, server.URL())
	server.Stop()
	var done counts
	h.touch(t, kindA, "a")
	began := time.Now()
	stop := h.worker(t, redis, nil, kind(kindA, done.handle))
	stop()
	require.Less(t, time.Since(began), 20*time.Second)
	stop = h.worker(t, redis, nil, kind(kindA, done.handle))
	server.Start()
	h.empty(t)
	require.Equal(t, 1, done.of("a"))
	stop()
}
