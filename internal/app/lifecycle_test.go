package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// steps writes down what the parts of a lifecycle do.
type steps []string

func (j *steps) part(l *lifecycle, name string, failure error) {
	l.add(name, func(context.Context) error {
		*j = append(*j, "start "+name)
		return failure
	}, func(context.Context) error {
		*j = append(*j, "stop "+name)
		return nil
	})
}

func TestPartsStopInTheOppositeOrder(t *testing.T) {
	var j steps
	l := newLifecycle(zap.NewNop())
	l.opened("file", func() error { j = append(j, "close file"); return nil })
	j.part(l, "one", nil)
	j.part(l, "two", nil)
	require.NoError(t, l.start(t.Context()))
	require.NoError(t, l.stop(t.Context()))
	require.Equal(t, steps{"start one", "start two", "stop two", "stop one", "close file"}, j)
	require.NoError(t, l.stop(t.Context()), "stopping twice stops nothing twice")
	require.Len(t, j, 5)
}

func TestAPartThatDoesNotStartTakesTheOthersDown(t *testing.T) {
	var j steps
	l := newLifecycle(zap.NewNop())
	l.opened("file", func() error { j = append(j, "close file"); return nil })
	j.part(l, "one", nil)
	j.part(l, "two", errors.New("no port"))
	j.part(l, "three", nil)
	l.opened("late", func() error { j = append(j, "close late"); return nil })
	require.ErrorContains(t, l.start(t.Context()), "start two: no port")
	require.Equal(t, steps{"start one", "start two", "close late", "stop one", "close file"}, j)
}

func TestWhatWasNeverStartedIsClosed(t *testing.T) {
	var j steps
	l := newLifecycle(zap.NewNop())
	l.opened("file", func() error { j = append(j, "close file"); return nil })
	j.part(l, "one", nil)
	require.NoError(t, l.stop(t.Context()))
	require.Equal(t, steps{"close file"}, j)
}

func TestEveryFailureToStopIsReported(t *testing.T) {
	l := newLifecycle(zap.NewNop())
	l.opened("file", func() error { return errors.New("disk") })
	l.opened("socket", func() error { return errors.New("wire") })
	err := l.stop(t.Context())
	require.ErrorContains(t, err, "stop socket: wire")
	require.ErrorContains(t, err, "stop file: disk")
}

func TestALoopIsAwaited(t *testing.T) {
	l := newLifecycle(zap.NewNop())
	ended := false
	l.loop("loop", func(ctx context.Context) error {
		<-ctx.Done()
		ended = true
		return nil
	})
	require.NoError(t, l.start(t.Context()))
	require.NoError(t, l.stop(t.Context()))
	require.True(t, ended)
	require.Empty(t, l.failed)
}

func TestALoopOutlivesTheContextItWasStartedIn(t *testing.T) {
	l := newLifecycle(zap.NewNop())
	l.loop("loop", func(ctx context.Context) error { <-ctx.Done(); return nil })
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, l.start(ctx))
	cancel()
	require.NoError(t, l.stop(t.Context()))
	require.Empty(t, l.failed)
}

func TestALoopThatEndsByItselfIsAFailure(t *testing.T) {
	l := newLifecycle(zap.NewNop())
	l.loop("loop", func(context.Context) error { return errors.New("broken") })
	require.NoError(t, l.start(t.Context()))
	require.ErrorContains(t, <-l.failed, "loop ended: broken")
	require.NoError(t, l.stop(t.Context()))
}

func TestALoopThatDoesNotEndIsGivenUp(t *testing.T) {
	l := newLifecycle(zap.NewNop())
	release := make(chan struct{})
	l.loop("loop", func(context.Context) error { <-release; return nil })
	require.NoError(t, l.start(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.stop(ctx), context.DeadlineExceeded)
	close(release)
}
