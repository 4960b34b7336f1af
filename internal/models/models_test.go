package models_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// bad gives the names of the fields that a validation refuses, in order.
func bad(t testing.TB, validate func(v *apierror.Validator)) []string {
	t.Helper()
	var v apierror.Validator
	validate(&v)
	if v.Err() == nil {
		return nil
	}
	return fields(t, v.Err())
}

func fields(t testing.TB, err error) []string {
	t.Helper()
	require.ErrorIs(t, err, apierror.CodeValidationFailed)
	known, ok := apierror.As(err)
	require.True(t, ok)
	names := make([]string, len(known.Fields))
	for i, f := range known.Fields {
		require.Equal(t, apierror.Body, f.In)
		require.NotEmpty(t, f.Detail)
		names[i] = f.Name
	}
	return names
}

func ptr[T any](v T) *T { return &v }

func repeat[T any](n int, element func(i int) T) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = element(i)
	}
	return list
}

func TestIDs(t *testing.T) {
	a, b := models.NewID[models.KeyID](), models.NewID[models.KeyID]()
	require.Less(t, a, b, "ids sort by creation")
	parsed, err := models.ParseID[models.KeyID](string(a))
	require.NoError(t, err)
	require.Equal(t, a, parsed)
	parsed, err = models.ParseID[models.KeyID]("0190A5B0-0000-7000-8000-00000000ABCD")
	require.NoError(t, err)
	require.Equal(t, models.KeyID("0190a5b0-0000-7000-8000-00000000abcd"), parsed, "one object has one id")
	for _, s := range []string{
		"", "x", string(a) + "0", string(a)[:35], "{" + string(a)[1:35] + "}", "urn:uuid:" + string(a),
		"0190a5b0000070008000000000000000", "0190a5b0-0000-7000-8000-00000000abcg",
	} {
		_, err := models.ParseID[models.KeyID](s)
		require.Error(t, err, s)
	}
}

func TestOwnerDefaultsAndRef(t *testing.T) {
	o := models.Owner{ID: "id", Rules: []models.Rule{{Name: "r"}}}
	o.Normalize()
	require.Equal(t, "UTC", o.TimeZone)
	require.Equal(t, 1, o.AnchorDay)
	require.Equal(t, models.ScopeOwner, o.Rules[0].Scope)
	require.Equal(t, "id", o.Ref())
	o.ExternalID = ptr("cust_42")
	require.Equal(t, "cust_42", o.Ref())
}

func TestCheckVersion(t *testing.T) {
	require.NoError(t, models.CheckVersion(0, 7), "0 asks for any")
	require.NoError(t, models.CheckVersion(7, 7))
	require.ErrorIs(t, models.CheckVersion(6, 7), apierror.CodePreconditionFailed)
	require.ErrorIs(t, models.CheckVersion(8, 7), apierror.CodePreconditionFailed)
}

func TestMissingRefNamesTheField(t *testing.T) {
	err := models.MissingRef(apierror.NotFound("plan"), apierror.Query, "plan", "plan")
	known, ok := apierror.As(err)
	require.True(t, ok)
	require.Equal(t, []apierror.Field{{In: apierror.Query, Name: "plan", Detail: "must name an existing plan"}}, known.Fields)
	other := apierror.New(apierror.CodeStoreUnavailable, "")
	require.Same(t, other, models.MissingRef(other, apierror.Query, "plan", "plan"))
}

func TestAssign(t *testing.T) {
	value := "old"
	models.Assign(&value, nil)
	require.Equal(t, "old", value)
	models.Assign(&value, ptr(""))
	require.Empty(t, value, "an empty value was given, not left out")
}

func TestActorTravelsInTheContext(t *testing.T) {
	require.Equal(t, models.Actor{Kind: "system"}, models.ActorFrom(t.Context()))
	actor := models.Actor{Kind: "token", ID: "1", Name: "ops", IP: "192.0.2.1", RequestID: "r"}
	require.Equal(t, actor, models.ActorFrom(models.WithActor(t.Context(), actor)))
}
