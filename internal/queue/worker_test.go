package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/testenv"
)

// everywhere runs a test over what `viva serve` alone has, and over what many
// processes share.
func everywhere(t *testing.T, test func(t *testing.T, h house, redis redis.UniversalClient)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, sqlite(t), embedded(t)) })
	t.Run("redis", func(t *testing.T) { test(t, postgres(t), client(t, testenv.Redis(t))) })
}

func TestEveryJobIsDoneOnceHoweverManyWorkers(t *testing.T) {
	everywhere(t, func(t *testing.T, h house, redis redis.UniversalClient) {
		var done counts
		var subjects []string
		for i := range 60 {
			subjects = append(subjects, fmt.Sprint(i))
		}
		for range 3 {
			h.worker(t, redis, nil, kind(kindA, done.handle), kind(kindB, done.handle))
		}
		h.touch(t, kindA, subjects...)
		h.touch(t, kindB, "b")
		h.empty(t)
		for _, subject := range append(subjects, "b") {
			require.Equal(t, 1, done.of(subject), subject)
		}
	})
}

func TestJobsOfEveryQueueAreDone(t *testing.T) {
	var done counts
	h := sqlite(t)
	var kinds []queue.Kind
	for _, priority := range queue.Priorities {
		k := kind(models.JobKind("test:"+priority), done.handle)
		k.Queue = priority
		kinds = append(kinds, k)
		h.touch(t, k.Name, string(priority))
	}
	h.worker(t, embedded(t), func(o *queue.Options) { o.Strict = true }, kinds...)
	h.empty(t)
	for _, priority := range queue.Priorities {
		require.Equal(t, 1, done.of(string(priority)))
	}
}

func TestJobThatSaysSoRunsAgain(t *testing.T) {
	everywhere(t, func(t *testing.T, h house, redis redis.UniversalClient) {
		var done counts
		h.worker(t, redis, nil, kind(kindA, func(_ context.Context, subject string) (time.Duration, error) {
			if done.add(subject) < 3 {
				return 10 * time.Millisecond, nil
			}
			return 0, nil
		}))
		h.touch(t, kindA, "a")
		h.empty(t)
		require.Equal(t, 3, done.of("a"))
	})
}

func TestJobAskedForWhileItRunsRunsAgain(t *testing.T) {
	everywhere(t, func(t *testing.T, h house, redis redis.UniversalClient) {
		var done counts
		h.worker(t, redis, nil, kind(kindA, func(ctx context.Context, subject string) (time.Duration, error) {
			if done.add(subject) == 1 {
				return 0, h.jobs.Touch(ctx, kindA, subject, 0)
			}
			return 0, nil
		}))
		h.touch(t, kindA, "a")
		h.empty(t)
		require.Equal(t, 2, done.of("a"))
	})
}

func TestFailureIsTriedAgainUntilItIsGivenUpAndAnOperatorSaysSo(t *testing.T) {
	everywhere(t, func(t *testing.T, h house, redis redis.UniversalClient) {
		var done counts
		var well atomic.Bool
		k := kind(kindA, func(_ context.Context, subject string) (time.Duration, error) {
			switch n := done.add(subject); {
			case well.Load():
				return 0, nil
			case n == 1:
				panic("a fault of the handler")
			default:
				return 0, errors.New("the receiver is away")
			}
		})
		k.MaxRetries = 1
		h.worker(t, redis, nil, k)
		h.touch(t, kindA, "a")
		job := h.failed(t)
		require.Equal(t, 2, done.of("a"), "an attempt and a retry")
		require.Equal(t, 2, job.Failures)
		require.Equal(t, "the receiver is away", job.LastError)

		well.Store(true)
		subject := "a"
		n, err := h.jobs.Retry(t.Context(), kindA, &subject)
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		h.empty(t)
		require.Equal(t, 3, done.of("a"), "the archived task stood in the way of none")
	})
}

func TestRetryThatSucceedsLeavesNothing(t *testing.T) {
	h := sqlite(t)
	var done counts
	h.worker(t, embedded(t), nil, kind(kindA, func(_ context.Context, subject string) (time.Duration, error) {
		if done.add(subject) == 1 {
			return 0, errors.New("not yet")
		}
		return 0, nil
	}))
	h.touch(t, kindA, "a")
	h.until(t, "the failure is counted", func(list []models.Job) bool { return len(list) == 1 && list[0].LastError == "not yet" })
	h.empty(t)
	require.Equal(t, 2, done.of("a"))
}

func TestHandlerThatTakesTooLongFails(t *testing.T) {
	h := sqlite(t)
	k := kind(kindA, func(ctx context.Context, _ string) (time.Duration, error) {
		<-ctx.Done()
		return 0, fmt.Errorf("waiting: %w", ctx.Err())
	})
	k.Timeout, k.MaxRetries = time.Second, 0
	h.worker(t, embedded(t), nil, k)
	h.touch(t, kindA, "a")
	require.Equal(t, "waiting: context deadline exceeded", h.failed(t).LastError)
}

func TestStoppingLetsJobsEndAndHandsBackThoseThatDoNot(t *testing.T) {
	everywhere(t, func(t *testing.T, h house, redis redis.UniversalClient) {
		var done counts
		begun := make(chan struct{}, 2)
		finish := make(chan struct{})
		handle := func(ctx context.Context, subject string) (time.Duration, error) {
			if done.add(subject) > 1 {
				return 0, nil
			}
			begun <- struct{}{}
			if subject == "endless" {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			<-finish
			return 0, nil
		}
		stop := h.worker(t, redis, nil, kind(kindA, handle))
		h.touch(t, kindA, "endless", "short")
		<-begun
		<-begun
		stopped := make(chan struct{})
		go func() { // ends with the worker, which is awaited
			defer close(stopped)
			stop()
		}()
		close(finish)
		<-stopped
		h.until(t, "one is left, and has not failed", func(list []models.Job) bool {
			return len(list) == 1 && list[0].Subject == "endless" && list[0].Failures == 0 && list[0].FailedAt == nil
		})
		h.worker(t, redis, nil, kind(kindA, handle))
		h.empty(t)
		require.Equal(t, 1, done.of("short"))
		require.Equal(t, 2, done.of("endless"))
	})
}

func TestKindsAreCheckedWhenTheWorkerIsMade(t *testing.T) {
	good := kind(kindA, new(counts).handle)
	for want, spoil := range map[string]func(k *queue.Kind){
		"no name":    func(k *queue.Kind) { k.Name = "" },
		"the queue":  func(k *queue.Kind) { k.Queue = "urgent" },
		"no handler": func(k *queue.Kind) { k.Handle = nil },
		"timeout":    func(k *queue.Kind) { k.Timeout = 0 },
		"negative":   func(k *queue.Kind) { k.Every = -1 },
	} {
		bad := good
		spoil(&bad)
		_, err := queue.New(queue.Options{Kinds: []queue.Kind{bad}})
		require.ErrorContains(t, err, want)
	}
	_, err := queue.New(queue.Options{Kinds: []queue.Kind{good, good}})
	require.ErrorContains(t, err, "twice")
}
