package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// lifecycle starts the named parts of a process in the order they were added
// and stops them in the opposite one. It owns every goroutine it starts.
type lifecycle struct {
	log     *zap.Logger
	parts   []part
	started int
	failed  chan error // the first background failure
}

type part struct {
	name  string
	start func(ctx context.Context) error // nil for what is open already
	stop  func(ctx context.Context) error
}

func newLifecycle(log *zap.Logger) *lifecycle {
	return &lifecycle{log: log, failed: make(chan error, 1)}
}

// opened adds a part that runs already, to be closed at the end.
func (l *lifecycle) opened(name string, stop func() error) {
	l.parts = append(l.parts, part{name: name, stop: func(context.Context) error { return stop() }})
}

// add adds a part that start begins and stop ends. Stop is given the time that
// is left for an orderly end.
func (l *lifecycle) add(name string, start, stop func(ctx context.Context) error) {
	l.parts = append(l.parts, part{name: name, start: start, stop: stop})
}

// loop adds a background loop, which runs until its context ends. A loop that
// returns earlier ends the process.
func (l *lifecycle) loop(name string, run func(ctx context.Context) error) {
	var (
		cancel context.CancelFunc
		done   sync.WaitGroup
	)
	l.add(name, func(ctx context.Context) error {
		ctx, cancel = context.WithCancel(context.WithoutCancel(ctx))
		done.Go(func() {
			if err := run(ctx); ctx.Err() == nil {
				l.fail(name, err)
			}
		})
		return nil
	}, func(ctx context.Context) error {
		cancel()
		return await(ctx, &done)
	})
}

// fail reports that a part ended by itself.
func (l *lifecycle) fail(name string, err error) {
	select {
	case l.failed <- fmt.Errorf("%s ended: %w", name, err):
	default: // an earlier failure is ending the process already
	}
}

// start starts all parts, or none.
func (l *lifecycle) start(ctx context.Context) error {
	for _, p := range l.parts {
		if p.start != nil {
			if err := p.start(ctx); err != nil {
				return errors.Join(fmt.Errorf("start %s: %w", p.name, err), l.stop(ctx))
			}
		}
		l.started++
	}
	return nil
}

// stop stops what was started or open, last in first out, and reports every
// failure.
func (l *lifecycle) stop(ctx context.Context) error {
	var failures []error
	for i := len(l.parts) - 1; i >= 0; i-- {
		p := l.parts[i]
		if p.start != nil && i >= l.started {
			continue
		}
		began := time.Now()
		if err := p.stop(ctx); err != nil {
			failures = append(failures, fmt.Errorf("stop %s: %w", p.name, err))
		}
		l.log.Debug("stopped", zap.String("part", p.name), zap.Duration("took", time.Since(began)))
	}
	l.parts, l.started = nil, 0
	return errors.Join(failures...)
}

// await waits for a group until ctx ends.
func await(ctx context.Context, group *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() { // ends with the group; after a timeout the process ends anyway
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
