package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
)

type traced struct{}

func TestItIsToldHowRunsEnd(t *testing.T) {
	type run struct {
		kind    models.JobKind
		outcome queue.Outcome
	}
	var (
		mu   sync.Mutex
		runs = map[run]int{}

		traces []string
	)
	onRun := func(o *queue.Options) {
		o.OnRun = func(kind models.JobKind, outcome queue.Outcome, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			runs[run{kind, outcome}]++
			if took < 0 {
				t.Errorf("it took %s", took)
			}
		}
		o.Trace = func(ctx context.Context, job *models.Job, attempt int) (context.Context, func(string, bool)) {
			return context.WithValue(ctx, traced{}, attempt), func(outcome string, failed bool) {
				mu.Lock()
				defer mu.Unlock()
				traces = append(traces, fmt.Sprint(job.Kind, attempt, outcome, failed))
			}
		}
	}
	h := sqlite(t)
	var tries counts
	twice := kind(kindA, func(ctx context.Context, subject string) (time.Duration, error) {
		if _, ok := ctx.Value(traced{}).(int); !ok {
			t.Error("the run is not in its trace")
		}
		if tries.add(subject) == 1 {
			return 0, errors.New("not yet")
		}
		return 0, nil
	})
	never := kind(kindB, func(context.Context, string) (time.Duration, error) { panic("never") })
	never.MaxRetries = 0
	stop := h.worker(t, embedded(t), onRun, twice, never)
	h.touch(t, kindA, "a")
	h.touch(t, kindB, "b")
	h.failed(t)
	h.empty(t)
	stop() // by then all of them have been told of
	require.ElementsMatch(t, []string{"test:a1retriedtrue", "test:a2donefalse", "test:b1failedtrue"}, traces)
	require.Equal(t, map[run]int{{kindA, queue.Retried}: 1, {kindA, queue.Done}: 1, {kindB, queue.Failed}: 1}, runs)
}
