package apierror_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestErrorMatchesItsCodeAndItsCause(t *testing.T) {
	err := fmt.Errorf("rotate: %w", apierror.NotFound("key").Wrap(io.ErrUnexpectedEOF))
	require.ErrorIs(t, err, apierror.CodeNotFound)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotErrorIs(t, err, apierror.CodeNotRecorded)
}

func TestErrorsOfOneCodeAreNotEachOther(t *testing.T) {
	revoked, expired := apierror.New(apierror.CodeConflict, "revoked"), apierror.New(apierror.CodeConflict, "expired")
	require.NotErrorIs(t, revoked, expired)
	require.ErrorIs(t, fmt.Errorf("rotate: %w", revoked), revoked)
}

func TestWrapLeavesTheOriginalAlone(t *testing.T) {
	base := apierror.NotFound("plan")
	wrapped := base.Wrap(io.EOF)
	require.NoError(t, base.Unwrap())
	require.Equal(t, io.EOF, wrapped.Unwrap())
	require.Equal(t, base.Detail, wrapped.Detail)
}

func TestErrorTextTellsTheLogEverything(t *testing.T) {
	err := apierror.Invalid(
		apierror.Field{In: apierror.Body, Name: "name", Detail: "must not be empty"},
		apierror.Field{In: apierror.Query, Name: "limit", Detail: "must be 1 to 1000"},
	).Wrap(io.EOF)
	err.RequestID = "r1"
	require.Equal(t, "validation_failed: Some fields are not valid; errors names each of them"+
		" [body name: must not be empty] [query limit: must be 1 to 1000] (request r1): EOF", err.Error())
	require.Equal(t, "conflict", apierror.New(apierror.CodeConflict, "").Error())
}

func TestFromAnswersEveryError(t *testing.T) {
	known := apierror.Newf(apierror.CodeForbidden, "needs the scope %s", "keys:write")
	expired := fmt.Errorf("load: %w", context.DeadlineExceeded)
	canceled := fmt.Errorf("load: %w", context.Canceled)
	unknown := errors.New("dial tcp 10.0.0.7:5432: refused")
	tests := []struct {
		name string
		err  error
		want apierror.Code
	}{
		{"an error of this package", known, apierror.CodeForbidden},
		{"one with context", fmt.Errorf("create: %w", known), apierror.CodeForbidden},
		{"the outermost of two", apierror.New(apierror.CodeConflict, "").Wrap(known), apierror.CodeConflict},
		{"a bare code", fmt.Errorf("create: %w", apierror.CodeAlreadyExists), apierror.CodeAlreadyExists},
		{"an expired context", expired, apierror.CodeTimeout},
		{"a canceled context", canceled, apierror.CodeUnavailable},
		{"anything else", unknown, apierror.CodeInternal},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, apierror.CodeOf(test.err))
			got := apierror.From(test.err)
			require.Equal(t, test.want, got.Code)
			if got != test.err { //nolint:errorlint // whether it is the very same
				_, isOurs := apierror.As(test.err)
				require.Equal(t, !isOurs, errors.Is(got, test.err), "an error of another package must stay as the cause")
			}
		})
	}
	require.Same(t, known, apierror.From(fmt.Errorf("create: %w", known)))
	require.NotContains(t, apierror.From(unknown).Problem("").Detail, "10.0.0.7")
	require.Nil(t, apierror.From(nil))
	require.Empty(t, apierror.CodeOf(nil))
}
