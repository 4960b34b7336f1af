package models

import (
	"errors"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// CheckVersion compares the version a caller saw with the one in force; 0
// asks for any.
func CheckVersion(seen, current int64) error {
	if seen != 0 && seen != current {
		return apierror.New(apierror.CodePreconditionFailed, "The object has changed since it was read: read it again")
	}
	return nil
}

// MissingRef turns the absence of what a field refers to into an error about
// that field; any other error passes.
func MissingRef(err error, in apierror.Location, field, what string) error {
	if errors.Is(err, apierror.CodeNotFound) {
		return apierror.Invalid(apierror.Field{In: in, Name: field, Detail: "must name an existing " + what})
	}
	return err
}

// Assign sets a field to a value that was given.
func Assign[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}
