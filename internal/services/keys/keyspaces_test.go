package keys_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

var directory = models.Dependency{Subject: models.DirectorySubject, Version: 1}

func TestKeyspaces(t *testing.T) {
	w := newWorld(t)
	var shop *models.Keyspace
	entries, stale := w.during(t, func() {
		var err error
		shop, err = w.CreateKeyspace(t.Context(), keys.NewKeyspace{Name: "shop", Prefix: "shop", Description: "The shop's API"})
		require.NoError(t, err)
	})
	require.Equal(t, []string{"keyspace.create"}, actions(entries))
	require.Equal(t, "shop", decode(t, entries[0].After)["prefix"])
	require.Equal(t, []models.Dependency{directory}, stale)
	for _, ref := range []string{"shop", string(shop.ID)} {
		found, err := w.FindKeyspace(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, shop, found)
	}
	created := w.create(t, keys.NewKey{Keyspace: "shop"})
	parsed, err := apikey.Parse(created.Secret.Reveal())
	require.NoError(t, err)
	require.Equal(t, "shop", parsed.Prefix)

	entries, stale = w.during(t, func() {
		changed, err := w.UpdateKeyspace(t.Context(), "shop", 1, keys.KeyspacePatch{Name: ptr("store"), Metadata: &map[string]string{"a": "b"}})
		require.NoError(t, err)
		require.Equal(t, "The shop's API", changed.Description)
		found, err := w.FindKeyspace(t.Context(), "store")
		require.NoError(t, err)
		require.Equal(t, changed, found)
	})
	require.Equal(t, []string{"keyspace.update"}, actions(entries))
	require.Equal(t, "shop", decode(t, entries[0].Before)["name"])
	require.Equal(t, "store", decode(t, entries[0].After)["name"])
	require.Equal(t, []models.Dependency{directory, subject("keyspace", shop.ID, 2)}, stale)
	_, err = w.UpdateKeyspace(t.Context(), "store", 1, keys.KeyspacePatch{Name: ptr("again")})
	failed(t, err, apierror.CodePreconditionFailed)

	failed(t, w.DeleteKeyspace(t.Context(), "store"), apierror.CodeConflict)
	require.NoError(t, w.Erase(t.Context(), created.Key.ID))
	entries, stale = w.during(t, func() { require.NoError(t, w.DeleteKeyspace(t.Context(), "store")) })
	require.Equal(t, []string{"keyspace.delete"}, actions(entries))
	require.Equal(t, "store", decode(t, entries[0].Before)["name"])
	require.Equal(t, []models.Dependency{directory}, stale)
	_, err = w.FindKeyspace(t.Context(), "store")
	failed(t, err, apierror.CodeNotFound)
}

func TestKeyspaceDefaults(t *testing.T) {
	w := newWorld(t)
	shop, err := w.CreateKeyspace(t.Context(), keys.NewKeyspace{Name: "shop"})
	require.NoError(t, err)
	require.Equal(t, "viva", shop.Prefix)
	list, err := w.ListKeyspaces(t.Context(), models.Page{Sort: "name"})
	require.NoError(t, err)
	require.Equal(t, []string{"default", "shop"}, []string{list[0].Name, list[1].Name})
}

func TestBadKeyspaces(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name     string
		keyspace keys.NewKeyspace
		bad      []string
	}{
		{"no name", keys.NewKeyspace{}, []string{"name"}},
		{"a path as name", keys.NewKeyspace{Name: "a/b"}, []string{"name"}},
		{"an id as name", keys.NewKeyspace{Name: string(models.NewID[models.KeyspaceID]())}, []string{"name"}},
		{"dots as name", keys.NewKeyspace{Name: ".."}, []string{"name"}},
		{"upper case in prefix", keys.NewKeyspace{Name: "a", Prefix: "Viva"}, []string{"prefix"}},
		{"an environment in prefix", keys.NewKeyspace{Name: "a", Prefix: "a_live"}, []string{"prefix"}},
		{"the prefix of tokens", keys.NewKeyspace{Name: "a", Prefix: apikey.TokenPrefix}, []string{"prefix"}},
		{"long prefix", keys.NewKeyspace{Name: "a", Prefix: strings.Repeat("a", 17)}, []string{"prefix"}},
		{"long description", keys.NewKeyspace{Name: "a", Description: strings.Repeat("x", 1001)}, []string{"description"}},
		{"bad metadata", keys.NewKeyspace{Name: "a", Metadata: map[string]string{"": ""}}, []string{"metadata"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := w.CreateKeyspace(t.Context(), test.keyspace)
			require.Equal(t, test.bad, badFields(t, err))
		})
	}
	_, err := w.CreateKeyspace(t.Context(), keys.NewKeyspace{Name: "default"})
	require.Equal(t, "name", failed(t, err, apierror.CodeAlreadyExists).Fields[0].Name)
	_, err = w.UpdateKeyspace(t.Context(), "default", 0, keys.KeyspacePatch{Name: ptr("")})
	require.Equal(t, []string{"name"}, badFields(t, err))
	_, err = w.UpdateKeyspace(t.Context(), "nowhere", 0, keys.KeyspacePatch{})
	failed(t, err, apierror.CodeNotFound)
	failed(t, w.DeleteKeyspace(t.Context(), "nowhere"), apierror.CodeNotFound)
}

func TestKeyspaceChangesThatAreNotRecorded(t *testing.T) {
	w := newWorld(t)
	shop, err := w.CreateKeyspace(t.Context(), keys.NewKeyspace{Name: "shop"})
	require.NoError(t, err)
	for _, action := range []string{"keyspace.create", "keyspace.update", "keyspace.delete"} {
		w.changes.FailOn = action
		switch action {
		case "keyspace.create":
			_, err = w.CreateKeyspace(t.Context(), keys.NewKeyspace{Name: "other"})
		case "keyspace.update":
			_, err = w.UpdateKeyspace(t.Context(), "shop", 0, keys.KeyspacePatch{Name: ptr("other")})
		default:
			err = w.DeleteKeyspace(t.Context(), "shop")
		}
		require.ErrorIs(t, err, repotest.ErrRecord, action)
		_, err = w.FindKeyspace(t.Context(), "other")
		failed(t, err, apierror.CodeNotFound)
		found, err := w.FindKeyspace(t.Context(), "shop")
		require.NoError(t, err)
		require.Equal(t, shop, found)
	}
}

func TestListOfKeys(t *testing.T) {
	w := newWorld(t)
	w.owner(t, "ada", "pro")
	_, err := w.CreateKeyspace(t.Context(), keys.NewKeyspace{Name: "shop", Prefix: "shop"})
	require.NoError(t, err)
	a := w.create(t, keys.NewKey{Name: "alpha", Owner: "ada", Tags: []string{"eu"}})
	b := w.create(t, keys.NewKey{Name: "alphabet", Keyspace: "shop", Environment: apikey.Test})
	c := w.create(t, keys.NewKey{Name: "beta", Plan: "enterprise"})
	_, err = w.Revoke(t.Context(), c.Key.ID)
	require.NoError(t, err)
	tests := []struct {
		name   string
		filter keys.Filter
		want   []models.KeyID
	}{
		{"all", keys.Filter{}, []models.KeyID{a.Key.ID, b.Key.ID, c.Key.ID}},
		{"keyspace", keys.Filter{Keyspace: "shop"}, []models.KeyID{b.Key.ID}},
		{"owner by external id", keys.Filter{Owner: "ada"}, []models.KeyID{a.Key.ID}},
		{"owner by id", keys.Filter{Owner: string(c.Owner.ID)}, []models.KeyID{c.Key.ID}},
		{"environment", keys.Filter{Environment: "test"}, []models.KeyID{b.Key.ID}},
		{"status", keys.Filter{Status: models.KeyRevoked}, []models.KeyID{c.Key.ID}},
		{"name", keys.Filter{Name: "alpha"}, []models.KeyID{a.Key.ID, b.Key.ID}},
		{"tag", keys.Filter{Tag: "eu"}, []models.KeyID{a.Key.ID}},
		{"all of these", keys.Filter{Name: "alpha", Tag: "eu", Keyspace: "shop"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			views, err := w.List(t.Context(), test.filter, models.Page{Sort: "name"})
			require.NoError(t, err)
			var ids []models.KeyID
			for _, view := range views {
				require.Equal(t, w.find(t, view.Key.ID), view, "each with what it belongs to")
				ids = append(ids, view.Key.ID)
			}
			require.Equal(t, test.want, ids)
		})
	}
	for field, filter := range map[string]keys.Filter{"keyspace": {Keyspace: "nowhere"}, "owner": {Owner: "nobody"}} {
		_, err := w.List(t.Context(), filter, models.Page{})
		known := failed(t, err, apierror.CodeValidationFailed)
		require.Equal(t, apierror.Query, known.Fields[0].In)
		require.Equal(t, field, known.Fields[0].Name)
	}
}

func TestTheDefaultKeyspaceStays(t *testing.T) {
	w := newWorld(t)
	require.ErrorIs(t, w.DeleteKeyspace(t.Context(), models.DefaultKeyspace), apierror.CodeConflict)
	other, description := "other", "renamed"
	_, err := w.UpdateKeyspace(t.Context(), models.DefaultKeyspace, 0, keys.KeyspacePatch{Name: &other})
	require.ErrorIs(t, err, apierror.CodeConflict)
	changed, err := w.UpdateKeyspace(t.Context(), models.DefaultKeyspace, 0, keys.KeyspacePatch{Description: &description})
	require.NoError(t, err)
	require.Equal(t, description, changed.Description)
}
