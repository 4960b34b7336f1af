package controllers

import (
	"errors"
	"maps"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// nullable is a member of a merge patch (RFC 7396) that null clears. Members
// that cannot be cleared are pointers, nil where absent.
type nullable[T any] struct {
	present bool
	value   *T // nil clears
}

// IsZero tells whether the member is absent.
func (n nullable[T]) IsZero() bool { return !n.present }

// UnmarshalJSONFrom is called only where the member is there.
func (n *nullable[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	n.present = true
	return json.UnmarshalDecode(dec, &n.value)
}

// Schema is that of T, or null.
func (n nullable[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), true, "")
	s.Nullable = true
	return &s
}

// change gives a pointer to the new value, nil where it stays.
func (n nullable[T]) change() **T {
	if !n.present {
		return nil
	}
	return &n.value
}

// cleared gives the new value, the zero one where it is cleared, and nil where
// it stays.
func (n nullable[T]) cleared() *T {
	switch {
	case !n.present:
		return nil
	case n.value == nil:
		return new(T)
	default:
		return n.value
	}
}

// metadataPatch merges into metadata: null members are taken away, and null in
// its place takes all.
type metadataPatch struct{ nullable[map[string]*string] }

// UnmarshalJSONFrom is called only where the member is there.
func (m *metadataPatch) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return m.nullable.UnmarshalJSONFrom(dec)
}

// Schema is an object of strings or null, or null.
func (m metadataPatch) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, Nullable: true,
		AdditionalProperties: &huma.Schema{Type: huma.TypeString, Nullable: true},
	}
}

// merge gives the metadata that the patch makes of the current one, nil where
// it stays.
func (m metadataPatch) merge(current map[string]string) *map[string]string {
	if !m.present {
		return nil
	}
	merged := map[string]string{}
	if m.value == nil {
		return &merged
	}
	maps.Copy(merged, current)
	for name, value := range *m.value {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = *value
		}
	}
	return &merged
}

// patchAttempts is how often a patch of "any version" is tried anew because
// the object changed between reading and writing it.
const patchAttempts = 3

// patch changes the version that the caller saw or, where any will do, the one
// that is there: metadata is merged into what was read.
func patch[V any](version MatchHeader, find func() (V, error), versionOf func(*V) int64,
	apply func(current *V, version int64) (V, error),
) (V, error) {
	for attempt := 1; ; attempt++ {
		current, err := find()
		if err != nil {
			return current, err
		}
		seen := version.version
		if version.any {
			seen = versionOf(&current)
		}
		updated, err := apply(&current, seen)
		if version.any && attempt < patchAttempts && errors.Is(err, apierror.CodePreconditionFailed) {
			continue
		}
		return updated, err
	}
}
