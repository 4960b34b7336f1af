package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// Priority is the queue that a kind stands in.
type Priority string

// The queues. How much of the work each gets while all have some is set by
// [Weights].
const (
	Critical Priority = "critical"
	Default  Priority = "default"
	Low      Priority = "low"
)

// Priorities lists the queues, the most urgent first.
var Priorities = []Priority{Critical, Default, Low}

// DefaultRetries makes nine attempts within about five minutes.
const DefaultRetries = 8

// Handler does a job. See the package's documentation for what it must keep to.
type Handler func(ctx context.Context, subject string) (again time.Duration, err error)

// Kind is what is to be done for the jobs of a kind, and how.
type Kind struct {
	Name  models.JobKind
	Queue Priority
	// Every makes the kind periodic: it is asked for once in each time of this
	// length, by the clock, After that time has begun. 0 leaves asking to others.
	Every time.Duration
	After time.Duration
	// AtStart also asks for it whenever a worker starts.
	AtStart bool
	// Timeout ends the context of a run; at least a second.
	Timeout time.Duration
	// MaxRetries is how often a job is tried again before it is given up.
	MaxRetries int
	Handle     Handler
}

// Whole makes a handler of a function about the whole installation.
func Whole(fn func(ctx context.Context) error) Handler {
	return func(ctx context.Context, _ string) (time.Duration, error) { return 0, fn(ctx) }
}

// check refuses a kind that was declared wrong.
func (k *Kind) check() error {
	switch {
	case k.Name == "":
		return errors.New("a kind has no name")
	case k.Queue != Critical && k.Queue != Default && k.Queue != Low:
		return fmt.Errorf("%s: the queue is %q; want one of %q", k.Name, k.Queue, Priorities)
	case k.Handle == nil:
		return fmt.Errorf("%s: it has no handler", k.Name)
	case k.Timeout < time.Second:
		return fmt.Errorf("%s: the timeout is %s; want a second at least", k.Name, k.Timeout)
	case k.Every < 0 || k.Every > 0 && k.Every < time.Second || k.After < 0 || k.MaxRetries < 0:
		return fmt.Errorf("%s: Every, After and MaxRetries must not be negative, and Every not below a second", k.Name)
	}
	return nil
}

// kinds finds what to do by name.
type kinds map[models.JobKind]*Kind

func newKinds(list []Kind) (kinds, error) {
	found := make(kinds, len(list))
	for i := range list {
		k := &list[i]
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
		if found[k.Name] != nil {
			return nil, fmt.Errorf("queue: %s is declared twice", k.Name)
		}
		found[k.Name] = k
	}
	return found, nil
}
