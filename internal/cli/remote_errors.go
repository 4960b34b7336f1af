package cli

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// explained is an error of the service or of the way to it, as people read it.
type explained struct {
	text  string
	cause error
}

func (e explained) Error() string { return e.text }
func (e explained) Unwrap() error { return e.cause }

func explain(cmd *cobra.Command, err error) error {
	if _, done := errors.AsType[explained](err); done {
		return err
	}
	if problem, ok := apierror.As(err); ok {
		return explained{describe(problem), err}
	}
	if cmd.Context().Err() != nil {
		return explained{"interrupted", err}
	}
	if _, ok := errors.AsType[*url.Error](err); !ok {
		return err
	}
	text := "cannot reach " + server(cmd) + ": " + visible(root(err).Error())
	if errors.Is(err, syscall.ECONNREFUSED) {
		text += "; is `viva serve` running there?"
	}
	return explained{text, err}
}

// root is what an error comes down to, without the call and the address that
// are named already.
func root(err error) error {
	for {
		cause := errors.Unwrap(err)
		if cause == nil {
			return err
		}
		err = cause
	}
}

// describe writes the public part of a problem: what happened, and a line for
// each bad field.
func describe(e *apierror.Error) string {
	var b strings.Builder
	b.WriteString(visible(e.Detail))
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; try again in %s", e.RetryAfter)
	}
	fmt.Fprintf(&b, " (%s", visible(string(e.Code)))
	if e.RequestID != "" {
		b.WriteString(", request " + visible(e.RequestID))
	}
	b.WriteString(")")
	for _, f := range e.Fields {
		name := visible(f.Name)
		if f.In != apierror.Body {
			name = visible(string(f.In)) + " " + name
		}
		fmt.Fprintf(&b, "\n  %s: %s", name, visible(f.Detail))
	}
	return b.String()
}
