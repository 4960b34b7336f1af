package controllers

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// An ETag is the version of the object and a digest of the answer, such as
// "3-5f1c…": the digest because an answer also shows things that change
// without the object, such as the name of its plan. A change asks for the
// version alone.

// versioned answers an object.
type versioned[T any] struct {
	Status int
	ETag   string `header:"ETag" doc:"For If-Match and If-None-Match"`
	Body   T
}

func newVersioned[T any](status int, version int64, body T) (*versioned[T], error) {
	data, err := encodeJSON(body)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", body, err)
	}
	sum := sha256.Sum256(data)
	return &versioned[T]{Status: status, ETag: fmt.Sprintf(`"%d-%x"`, version, sum[:8]), Body: body}, nil
}

// NoneMatchHeader spares the caller an answer it already has.
type NoneMatchHeader struct {
	IfNoneMatch string `header:"If-None-Match" maxLength:"1024" doc:"Answers 304 where the object still has one of these ETags"`
}

// answer gives 304 instead of an answer the caller has.
func answerUnless[T any](have NoneMatchHeader, version int64, body T) (*versioned[T], error) {
	out, err := newVersioned(http.StatusOK, version, body)
	if err != nil {
		return nil, err
	}
	for tag := range strings.SplitSeq(have.IfNoneMatch, ",") {
		// If-None-Match compares weakly: a proxy that compressed the answer may
		// have marked its tag as weak.
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || tag == out.ETag {
			out.Status = http.StatusNotModified
			break
		}
	}
	return out, nil
}

// MatchHeader says which version the caller has seen.
type MatchHeader struct {
	IfMatch string `header:"If-Match" maxLength:"1024" doc:"The ETag of the object as it was read, or * for whichever; without it, 428"`

	any     bool
	version int64
}

// Resolve reads the version.
func (m *MatchHeader) Resolve(huma.Context) []error {
	tag := strings.TrimSpace(m.IfMatch)
	switch tag {
	case "":
		return []error{apierror.New(apierror.CodePreconditionRequired, "A change says which version it is about",
			apierror.Field{In: apierror.Header, Name: "If-Match", Detail: "must be the ETag of the object as it was read, or *"})}
	case "*":
		m.any = true
		return nil
	}
	quoted, ok := strings.CutPrefix(tag, `"`)
	number, rest, _ := strings.Cut(quoted, "-")
	version, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || version < 1 || !strings.HasSuffix(rest, `"`) || strings.Contains(rest, ",") {
		// It cannot be the ETag of any version, weak ones included.
		return []error{apierror.New(apierror.CodePreconditionFailed, "If-Match names no version of the object",
			apierror.Field{In: apierror.Header, Name: "If-Match", Detail: "must be the ETag of the object as it was read, or *"})}
	}
	m.version = version
	return nil
}

// acceptsPatch documents that a change comes as a merge patch.
func acceptsPatch(op huma.Operation) huma.Operation {
	op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{mediaMergePatch: {}, mediaJSON: {}}}
	return op
}
