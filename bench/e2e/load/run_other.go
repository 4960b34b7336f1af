//go:build !linux

package load

import (
	"context"
	"errors"
)

// Do needs epoll.
func (r *Run) Do(context.Context) (*Result, error) {
	return nil, errors.New("load is made on Linux only")
}
