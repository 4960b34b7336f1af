package apierror_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// Clients depend on these pairs: a changed row is a breaking change.
var published = map[apierror.Code]int{
	"bad_request":            400,
	"invalid_json":           400,
	"unauthorized":           401,
	"forbidden":              403,
	"not_found":              404,
	"not_recorded":           404,
	"method_not_allowed":     405,
	"not_acceptable":         406,
	"conflict":               409,
	"already_exists":         409,
	"not_settleable":         409,
	"idempotency_conflict":   409,
	"precondition_failed":    412,
	"payload_too_large":      413,
	"unsupported_media_type": 415,
	"validation_failed":      422,
	"idempotency_mismatch":   422,
	"check_id_conflict":      422,
	"precondition_required":  428,
	"rate_limited":           429,
	"internal":               500,
	"unavailable":            503,
	"store_unavailable":      503,
	"timeout":                503,
}

func TestEveryCodeKeepsItsPublishedStatus(t *testing.T) {
	require.Len(t, apierror.Codes(), len(published))
	for code, status := range published {
		require.Equal(t, status, code.Status(), code)
	}
}

func TestEveryConstantHasAStatusAndATitle(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	require.NoError(t, err)
	var constants []apierror.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			code, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			constants = append(constants, apierror.Code(code))
		}
		return true
	})
	require.ElementsMatch(t, apierror.Codes(), constants)
	snake := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for _, code := range constants {
		require.Regexp(t, snake, string(code))
		require.NotEqual(t, string(code), code.Title())
		require.NotEmpty(t, http.StatusText(code.Status()))
	}
}

func TestUnknownCodeIsOurFault(t *testing.T) {
	code := apierror.Code("from_the_future")
	require.Equal(t, 500, code.Status())
	require.Equal(t, "from_the_future", code.Title())
}
