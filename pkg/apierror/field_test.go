package apierror_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestValidatorReportsEveryFieldInOrder(t *testing.T) {
	var v apierror.Validator
	v.Check(false, "name", "must not be empty")
	v.Check(true, "owner", "never shown")
	rule := v.In("rules", 2)
	rule.Checkf(false, "window", "must be at most %s", "744h")
	rule.Checkf(true, "limit", "never %s", "shown")
	rule.In("match").In("paths", 0).Check(false, "", "must start with /")
	v.In("grid", 1, 2).Check(false, "[3]", "must be 0 or 1")

	e, ok := apierror.As(v.Err())
	require.True(t, ok)
	require.Equal(t, apierror.CodeValidationFailed, e.Code)
	require.Equal(t, []apierror.Field{
		{In: apierror.Body, Name: "name", Detail: "must not be empty"},
		{In: apierror.Body, Name: "rules[2].window", Detail: "must be at most 744h"},
		{In: apierror.Body, Name: "rules[2].match.paths[0]", Detail: "must start with /"},
		{In: apierror.Body, Name: "grid[1][2][3]", Detail: "must be 0 or 1"},
	}, e.Fields)
	require.Equal(t, v.Err(), rule.Err(), "validators of one root share their findings")
}

func TestValidatorWithoutFindingsIsANilError(t *testing.T) {
	var v apierror.Validator
	v.In("rules", 0).Check(true, "window", "never shown")
	require.NoError(t, v.Err(), "a typed nil would be an error to every caller")
}

func TestValidatorKeepsItsLocation(t *testing.T) {
	v := apierror.Validator{Location: apierror.Query}
	v.In("filter").Check(false, "owner", "must be an id")
	require.Equal(t, []apierror.Field{{In: apierror.Query, Name: "filter.owner", Detail: "must be an id"}},
		apierror.From(v.Err()).Fields)
}

func TestValidatorBoundsItsReport(t *testing.T) {
	var v apierror.Validator
	for i := range apierror.MaxFields + 50 {
		v.In("ids", i).Check(false, "", "must be a UUID")
	}
	fields := apierror.From(v.Err()).Fields
	require.Len(t, fields, apierror.MaxFields)
	require.Equal(t, "ids[99]", fields[99].Name)
}
