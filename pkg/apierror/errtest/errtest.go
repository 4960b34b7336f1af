// Package errtest asserts errors of the API in tests.
//
// Floor F0, for tests alone: imports apierror and testify.
package errtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// Failed requires an error of the code, and gives it.
func Failed(tb testing.TB, err error, code apierror.Code) *apierror.Error {
	tb.Helper()
	require.ErrorIs(tb, err, code)
	known, ok := apierror.As(err)
	require.True(tb, ok)
	return known
}

// BadFields requires a failed validation, and gives the names of its fields.
func BadFields(tb testing.TB, err error) []string {
	tb.Helper()
	var names []string
	for _, f := range Failed(tb, err, apierror.CodeValidationFailed).Fields {
		names = append(names, f.Name)
	}
	return names
}
