package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/audit"
)

var now = time.Date(2026, 3, 29, 12, 0, 0, 123_456_000, time.UTC)

func open(t testing.TB) (*audit.Service, *repositories.DB) {
	t.Helper()
	clock := func() time.Time { return now }
	db, err := repositories.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "viva.db"), repositories.Options{Clock: clock})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Migrate(t.Context()))
	return audit.New(repositories.NewAudit(db), clock), db
}

func TestAnEntryTellsWhoDidWhat(t *testing.T) {
	service, _ := open(t)
	actor := models.Actor{Kind: "token", ID: "tok", Name: "ops", IP: "2001:db8::1", RequestID: "req"}
	type thing struct {
		Name string `json:"name"`
	}
	err := service.Record(models.WithActor(t.Context(), actor), models.Change{
		Action: "key.update", ObjectKind: "key", ObjectID: "1", Before: thing{"a"}, After: &thing{"b"},
	})
	require.NoError(t, err)
	list, err := service.List(t.Context(), models.AuditFilter{}, models.Page{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.NotEmpty(t, list[0].ID)
	require.JSONEq(t, `{"name":"a"}`, string(list[0].Before))
	require.JSONEq(t, `{"name":"b"}`, string(list[0].After))
	require.Equal(t, models.AuditEntry{
		ID: list[0].ID, At: now, ActorKind: "token", ActorID: "tok", ActorName: "ops", IP: "2001:db8::1", RequestID: "req",
		Action: "key.update", ObjectKind: "key", ObjectID: "1", Before: list[0].Before, After: list[0].After,
	}, list[0])
}

func TestWhatWasNotThereHasNoState(t *testing.T) {
	service, _ := open(t)
	require.NoError(t, service.Record(t.Context(), models.Change{Action: "key.reset_limits", ObjectKind: "key", ObjectID: "1"}))
	list, err := service.List(t.Context(), models.AuditFilter{}, models.Page{})
	require.NoError(t, err)
	require.Empty(t, list[0].Before)
	require.Empty(t, list[0].After)
	require.Equal(t, "system", list[0].ActorKind, "nobody asked for it")
}

func TestAnEntryIsOfTheTransactionOfItsChange(t *testing.T) {
	service, db := open(t)
	rollback := errors.New("roll back")
	err := db.InTx(t.Context(), func(ctx context.Context) error {
		require.NoError(t, service.Record(ctx, models.Change{Action: "a", ObjectKind: "k", ObjectID: "1"}))
		return rollback
	})
	require.ErrorIs(t, err, rollback)
	list, err := service.List(t.Context(), models.AuditFilter{}, models.Page{})
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestStateThatCannotBeWritten(t *testing.T) {
	service, _ := open(t)
	for _, change := range []models.Change{{Before: math.NaN()}, {After: math.NaN()}} {
		var unsupported *json.UnsupportedValueError
		require.ErrorAs(t, service.Record(t.Context(), change), &unsupported)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, service.Record(gone, models.Change{Action: "a", ObjectKind: "k", ObjectID: "1"}), context.Canceled)
}

func TestListFilters(t *testing.T) {
	service, _ := open(t)
	for _, c := range []models.Change{
		{Action: "key.create", ObjectKind: "key", ObjectID: "1"},
		{Action: "key.revoke", ObjectKind: "key", ObjectID: "1"},
		{Action: "owner.create", ObjectKind: "owner", ObjectID: "2"},
	} {
		actor := models.Actor{Kind: "token", ID: c.ObjectKind}
		require.NoError(t, service.Record(models.WithActor(t.Context(), actor), c))
	}
	for name, test := range map[string]struct {
		filter models.AuditFilter
		want   int
	}{
		"all": {models.AuditFilter{}, 3}, "kind": {models.AuditFilter{ObjectKind: "key"}, 2}, "object": {models.AuditFilter{ObjectID: "2"}, 1},
		"actor": {models.AuditFilter{ActorID: "owner"}, 1}, "action": {models.AuditFilter{Action: "key.revoke"}, 1},
		"none": {models.AuditFilter{Action: "key.revoke", ObjectKind: "owner"}, 0},
	} {
		list, err := service.List(t.Context(), test.filter, models.Page{})
		require.NoError(t, err)
		require.Len(t, list, test.want, name)
	}
}
