package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// Waits between attempts grow from the first to the longest, doubling. A
// service that asks for a longer wait than maxRetryAfter gets none: its error is
// returned, with RetryAfter.
const (
	firstWait     = 100 * time.Millisecond
	longestWait   = 5 * time.Second
	maxRetryAfter = 30 * time.Second
)

// repeat attempts the call until it is answered, cannot be, or has been
// repeated often enough.
func (c *Client) repeat(ctx context.Context, op *call, target string, body []byte) (answer, error) {
	for repeats := 0; ; repeats++ {
		a, err := c.attempt(ctx, op, target, body)
		if repeats > 0 && op.method == http.MethodDelete && errors.Is(err, apierror.CodeNotFound) {
			return a, nil // an attempt whose answer was lost has done it
		}
		if err == nil || ctx.Err() != nil || repeats == c.retries || !op.passing(err) {
			return a, err
		}
		wait, ok := backoff(repeats, err)
		if !ok {
			return a, err
		}
		if waitErr := pause(ctx, wait); waitErr != nil {
			return a, fmt.Errorf("%w; before that: %w", waitErr, err)
		}
	}
}

// passing tells whether the call may be repeated, and might then fare better.
func (op *call) passing(err error) bool {
	if !op.repeatable && op.idempotencyKey == "" {
		return false
	}
	e, answered := apierror.As(err)
	if !answered {
		return !errors.Is(err, errTooLarge)
	}
	switch e.Status() {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.Code == apierror.CodeIdempotencyConflict // an attempt whose answer was lost still runs
}

// backoff gives the wait before the next attempt: at random between half and
// all of a doubling time, so that clients that failed together do not return
// together, and never earlier than the service asked for.
func backoff(repeats int, err error) (time.Duration, bool) {
	wait := min(firstWait<<repeats, longestWait)
	wait = wait/2 + rand.N(wait/2+1)
	if e, ok := apierror.As(err); ok && e.RetryAfter > 0 {
		return e.RetryAfter + wait, e.RetryAfter <= maxRetryAfter
	}
	return wait, true
}

// pause waits, unless the context ends before.
func pause(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return context.DeadlineExceeded
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
