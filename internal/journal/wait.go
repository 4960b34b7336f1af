package journal

import (
	"context"
	"sync"
	"sync/atomic"
)

// waiters are those who wait for records. Appenders only look whether there are
// any.
type waiters struct {
	any    atomic.Bool
	mu     sync.Mutex
	wake   chan struct{} // closed with the next record; nil when nobody waits
	closed chan struct{} // with the journal
}

// Wait returns true once this opening's stream has a record above after, and
// false when ctx or the journal ends first.
func (j *Journal) Wait(ctx context.Context, after int64) bool {
	for {
		if j.own.last.Load() > after {
			return true
		}
		wake := j.waiters.join()
		// A record that came before we joined has woken nobody.
		if j.own.last.Load() > after {
			return true
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return false
		case <-j.waiters.closed:
			return j.own.last.Load() > after
		}
	}
}

func (w *waiters) join() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wake == nil {
		w.wake = make(chan struct{})
	}
	w.any.Store(true)
	return w.wake
}

func (w *waiters) notify() {
	if !w.any.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.any.Store(false)
	if w.wake != nil {
		close(w.wake)
		w.wake = nil
	}
}
