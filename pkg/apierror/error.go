// Package apierror is the vocabulary of failure of the HTTP API, shared by server and clients:
// codes with their HTTP status, errors that name each bad field, and the wire form of
// RFC 9457 (application/problem+json).
//
// What may be shown to a caller and what is for the log are apart by construction:
// Code, Detail and Fields are public, the wrapped cause never leaves the process.
//
// Floor F0: imports only the standard library.
package apierror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Error is a failure of one request. Treat it as immutable once returned;
// then it is safe for concurrent use.
type Error struct {
	Code       Code
	Detail     string        // public: a sentence about this occurrence, without a final period or a secret
	Fields     []Field       // public: what is wrong with the input
	RetryAfter time.Duration // when a retry can succeed; 0 when unknown
	RequestID  string        // set on errors a client decoded; a server passes it to Problem

	status int // of a decoded response, when it may differ from the code's own
	cause  error
}

// New returns an error with the code and a public detail.
func New(code Code, detail string, fields ...Field) *Error {
	return &Error{Code: code, Detail: detail, Fields: fields}
}

// Newf is New with a formatted detail. The arguments are shown to the caller:
// a cause belongs in Wrap.
func Newf(code Code, format string, args ...any) *Error {
	return New(code, fmt.Sprintf(format, args...))
}

// NotFound says that there is no such thing, or none the caller may know of.
// The word is a noun without an article: "key", "plan version".
func NotFound(what string) *Error {
	return New(CodeNotFound, "There is no such "+what)
}

// Invalid reports fields of a well-formed request that break their rules. See also Validator.
func Invalid(fields ...Field) *Error {
	return New(CodeValidationFailed, "Some fields are not valid; errors names each of them", fields...)
}

// Wrap returns a copy of e with a cause that errors.Is, errors.As and Error see,
// and callers of the API do not.
func (e *Error) Wrap(cause error) *Error {
	wrapped := *e
	wrapped.cause = cause
	return &wrapped
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the error's Code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Status is the HTTP status: that of the response for a decoded error, else that of the code.
func (e *Error) Status() int {
	if e.status != 0 {
		return e.status
	}
	return e.Code.Status()
}

// Error renders everything known, the cause included: for logs, not for callers of the API.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	for _, f := range e.Fields {
		b.WriteString(" [" + f.String() + "]")
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	return b.String()
}

// As returns the outermost *Error in err's chain.
func As(err error) (*Error, bool) { return errors.AsType[*Error](err) }

// From turns any error into the one to answer with. An *Error in the chain is returned as it is;
// a bare Code gets no detail; an expired context becomes CodeTimeout and a canceled one
// CodeUnavailable; everything else becomes CodeInternal, with err as the cause.
// From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := As(err); ok {
		return e
	}
	if code, ok := errors.AsType[Code](err); ok {
		return New(code, "").Wrap(err)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return New(CodeTimeout, "The request took longer than it may").Wrap(err)
	case errors.Is(err, context.Canceled):
		return New(CodeUnavailable, "The request was cut short").Wrap(err)
	}
	return New(CodeInternal, "Something failed on our side; request_id finds it in our log").Wrap(err)
}

// CodeOf returns the code From would answer with; "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return From(err).Code
}
