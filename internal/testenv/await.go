package testenv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// await asks again and again until there is no error, for as long as a server may take.
func await(what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-pace.C:
		}
	}
}

// each does something with every one of them at once.
func each[T any](all []T, do func(T) error) error {
	failures := make([]error, len(all))
	var done sync.WaitGroup
	for i, one := range all {
		done.Go(func() { failures[i] = do(one) })
	}
	done.Wait()
	return errors.Join(failures...)
}
