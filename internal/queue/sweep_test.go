package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/testenv"
)

// watched is the lock of a worker that tells when it has it.
type watched struct {
	queue.Lock
	held *atomic.Int32
}

func (w watched) Release() {
	w.held.Add(-1)
	w.Lock.Release()
}

func (h house) watch(held *atomic.Int32) queue.TryLock {
	return func(ctx context.Context) (queue.Lock, bool, error) {
		lock, ok, err := h.lock(ctx)
		if !ok || err != nil {
			return nil, false, err
		}
		held.Add(1)
		return watched{lock, held}, true, nil
	}
}

func TestOneProcessSweepsAndAnotherTakesOver(t *testing.T) {
	h, redis := postgres(t), client(t, testenv.Redis(t))
	var done counts
	var held [2]atomic.Int32
	var stops [2]func()
	for i := range stops {
		stops[i] = h.worker(t, redis, func(o *queue.Options) { o.Lock = h.watch(&held[i]) }, kind(kindA, done.handle))
	}
	require.Eventually(t, func() bool { return held[0].Load()+held[1].Load() == 1 }, patience, 10*time.Millisecond)
	first := 0
	if held[1].Load() == 1 {
		first = 1
	}
	h.touch(t, kindA, "a")
	h.empty(t)
	require.Zero(t, held[1-first].Load(), "one at a time")
	stops[first]()
	require.Eventually(t, func() bool { return held[1-first].Load() == 1 }, 5*time.Second, 10*time.Millisecond)
	h.touch(t, kindA, "b")
	h.empty(t)
	require.Equal(t, 1, done.of("b"))
}

func TestMoreThanABatchIsPutInAtOnce(t *testing.T) {
	h := sqlite(t)
	const n = 2100
	require.NoError(t, h.db.InTx(t.Context(), func(ctx context.Context) error {
		for i := range n {
			if err := h.jobs.Touch(ctx, kindA, fmt.Sprint(i), 0); err != nil {
				return err
			}
		}
		return nil
	}))
	redis := embedded(t)
	inspector := queue.NewInspector(redis, "viva")
	h.worker(t, redis, func(o *queue.Options) {
		o.Resend, o.Weights = time.Hour, queue.Weights{Critical: 1} // it works on another queue
	}, kind(kindA, new(counts).handle))
	require.Eventually(t, func() bool {
		states, err := inspector.Queues(t.Context())
		return err == nil && states[1].Pending == n
	}, patience, 10*time.Millisecond)
}

func TestJobOfAnotherVersionWaitsForIt(t *testing.T) {
	h, redis := sqlite(t), embedded(t)
	var done counts
	h.worker(t, redis, nil, kind(kindA, done.handle))
	h.touch(t, kindB, "new")
	h.touch(t, kindA, "old")
	h.until(t, "one is left, and is not looked at all the time", func(list []models.Job) bool {
		return len(list) == 1 && list[0].Kind == kindB && list[0].SentAt != nil
	})
	h.worker(t, redis, nil, kind(kindA, done.handle), kind(kindB, done.handle))
	h.empty(t)
	require.Equal(t, 1, done.of("new"))
}

// timetable is a source that says which ticks were asked for.
type timetable struct {
	mu     sync.Mutex
	ticks  map[models.JobKind][]time.Time
	starts []models.JobKind
	fails  int
}

func (s *timetable) Due(context.Context, time.Duration, int) ([]models.Job, error) { return nil, nil }
func (s *timetable) MarkSent(context.Context, []models.Job) error                  { return nil }

func (s *timetable) Tick(_ context.Context, kind models.JobKind, tick time.Time, _ string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails++; s.fails == 1 {
		return false, errors.New("the database is away")
	}
	s.ticks[kind] = append(s.ticks[kind], tick)
	return true, nil
}

func (s *timetable) Touch(_ context.Context, kind models.JobKind, _ string, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starts = append(s.starts, kind)
	return nil
}

func TestPeriodicJobsAreAskedForOnceInTheirTime(t *testing.T) {
	h := sqlite(t)
	source := &timetable{ticks: map[models.JobKind][]time.Time{}}
	hourly := kind(kindA, new(counts).handle)
	hourly.Every, hourly.After, hourly.AtStart = time.Hour, 30*time.Second, true
	other := kind(kindB, new(counts).handle)
	other.Every = 15 * time.Minute
	var clock atomic.Pointer[time.Time]
	set := func(now time.Time) { clock.Store(&now) }
	set(time.Date(2026, 3, 29, 12, 0, 29, 0, time.UTC))
	h.worker(t, embedded(t), func(o *queue.Options) {
		o.Source, o.Now = source, func() time.Time { return *clock.Load() }
	}, hourly, other)
	asked := func(kind models.JobKind, n int) {
		t.Helper()
		require.Eventually(t, func() bool {
			source.mu.Lock()
			defer source.mu.Unlock()
			return len(source.ticks[kind]) == n
		}, patience, 10*time.Millisecond)
	}
	asked(kindB, 1)
	set(time.Date(2026, 3, 29, 12, 0, 30, 0, time.UTC))
	asked(kindA, 2)
	set(time.Date(2026, 3, 29, 12, 15, 0, 0, time.UTC))
	asked(kindB, 2)
	source.mu.Lock()
	defer source.mu.Unlock()
	at := func(hour, minute int) time.Time { return time.Date(2026, 3, 29, hour, minute, 0, 0, time.UTC) }
	require.Equal(t, map[models.JobKind][]time.Time{
		kindA: {at(11, 0), at(12, 0)}, kindB: {at(12, 0), at(12, 15)},
	}, source.ticks)
	require.Equal(t, []models.JobKind{kindA}, source.starts)
}

func TestPeriodicJobRunsOnceHoweverManyWorkers(t *testing.T) {
	everywhereTick := kind(kindA, nil)
	var done counts
	everywhereTick.Handle, everywhereTick.Every = done.handle, 24*time.Hour
	h, redis := postgres(t), client(t, testenv.Redis(t))
	for range 3 {
		h.worker(t, redis, nil, everywhereTick)
	}
	require.Eventually(t, func() bool { return done.of("") == 1 }, patience, 10*time.Millisecond)
	h.empty(t)
	require.Equal(t, 1, done.of(""))
}
