package client

import (
	"context"
	"encoding/json"
)

// ETag names the version of an object as it was read. A change says which
// version it is about, and fails with apierror.CodePreconditionFailed where the
// object is at another by now.
type ETag string

// AnyVersion changes an object whatever version it is at.
const AnyVersion ETag = "*"

// Change is what a patch does to a field that can be cleared: the zero Change
// leaves it, [Set] sets it and [Clear] clears it. Fields that cannot be cleared
// are pointers in patches, nil where they stay.
type Change[T any] struct {
	made  bool
	value *T
}

// Set changes a field to v.
func Set[T any](v T) Change[T] { return Change[T]{made: true, value: &v} }

// Clear takes a field's value away.
func Clear[T any]() Change[T] { return Change[T]{made: true} }

// IsZero tells whether the field stays.
func (c Change[T]) IsZero() bool { return !c.made }

// MarshalJSON writes the value, or null where it is cleared.
func (c Change[T]) MarshalJSON() ([]byte, error) { return json.Marshal(c.value) }

// MetadataPatch changes members of metadata: nil takes a member away, others
// are set, and members it does not name stay.
type MetadataPatch map[string]*string

// tagged is an object with an ETag.
type tagged[T any] interface {
	*T
	tag(ETag)
}

// object makes a call that answers one object, and notes its version.
func object[T any, P tagged[T]](ctx context.Context, c *Client, op call) (*T, error) {
	v := new(T)
	header, err := c.do(ctx, op, v)
	if err != nil {
		return nil, err
	}
	P(v).tag(ETag(header.Get("ETag")))
	return v, nil
}
