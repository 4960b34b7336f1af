package models_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestTokenHolds(t *testing.T) {
	tests := []struct {
		granted []models.TokenScope
		holds   []models.TokenScope
		lacks   []models.TokenScope
	}{
		{nil, nil, models.TokenScopes},
		{[]models.TokenScope{models.ScopeAdmin}, models.TokenScopes, nil},
		{
			[]models.TokenScope{models.ScopeKeysRead},
			[]models.TokenScope{models.ScopeKeysRead},
			[]models.TokenScope{models.ScopeKeysWrite, "keys:*", models.ScopePlansRead, models.ScopeAdmin, models.ScopeChecksWrite},
		},
		{
			[]models.TokenScope{"keys:*"},
			[]models.TokenScope{models.ScopeKeysRead, models.ScopeKeysWrite, "keys:*"},
			[]models.TokenScope{models.ScopePlansRead, models.ScopeAdmin, models.ScopeChecksWrite},
		},
		{
			models.Roles["viewer"],
			[]models.TokenScope{models.ScopeKeysRead, models.ScopePlansRead, models.ScopeUsageRead},
			[]models.TokenScope{models.ScopeKeysWrite, models.ScopePlansWrite, models.ScopeChecksWrite, models.ScopeUsageWrite, models.ScopeAdmin},
		},
		{
			models.Roles["operator"],
			[]models.TokenScope{models.ScopeKeysRead, models.ScopeKeysWrite, models.ScopePlansWrite, models.ScopeChecksWrite, models.ScopeUsageRead, models.ScopeUsageWrite},
			[]models.TokenScope{models.ScopeAdmin},
		},
		{models.Roles["admin"], models.TokenScopes, nil},
	}
	for _, test := range tests {
		token := models.AccessToken{Scopes: test.granted}
		for _, scope := range test.holds {
			require.True(t, token.Holds(scope), "%v holds %s", test.granted, scope)
		}
		for _, scope := range test.lacks {
			require.False(t, token.Holds(scope), "%v holds %s", test.granted, scope)
		}
	}
}

func TestRolesGrantKnownScopes(t *testing.T) {
	for role, scopes := range models.Roles {
		require.Subset(t, models.TokenScopes, scopes, role)
	}
}

func TestTokenValid(t *testing.T) {
	require.True(t, (&models.AccessToken{}).Valid(noon))
	require.True(t, (&models.AccessToken{ExpiresAt: at(1)}).Valid(noon))
	require.False(t, (&models.AccessToken{ExpiresAt: at(0)}).Valid(noon))
	require.False(t, (&models.AccessToken{RevokedAt: at(1), ExpiresAt: at(1)}).Valid(noon))
}

func TestHashesAreInNoJSON(t *testing.T) {
	hash := apikey.Sum("a secret that was made elsewhere")
	for _, v := range []any{models.AccessToken{Hash: hash}, models.Secret{Hash: hash}, models.Snapshot{Secret: models.Secret{Hash: hash}}} {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(data), hash.String())
		require.NotContains(t, string(data), "ash")
	}
}

func TestPeppers(t *testing.T) {
	hash := apikey.Sum("a secret that was made elsewhere")
	stored, id := models.Peppers{}.Seal(hash)
	require.Equal(t, hash, stored)
	require.Empty(t, id)
	require.Equal(t, []apikey.Hash{hash}, models.Peppers{}.Candidates(hash))

	older, newer := models.NewPepper([]byte("the pepper of last year")), models.NewPepper([]byte("the pepper of this year"))
	require.NotEqual(t, older.ID, newer.ID)
	require.Equal(t, older, models.NewPepper([]byte("the pepper of last year")), "every node makes the same")
	peppers := models.Peppers{newer, older}
	stored, id = peppers.Seal(hash)
	require.Equal(t, newer.ID, id)
	before, _ := models.Peppers{older}.Seal(hash)
	require.NotEqual(t, before, stored)
	require.Equal(t, []apikey.Hash{stored, before, hash}, peppers.Candidates(hash), "the one in use comes first")
}

func TestHashSubjectTellsLittle(t *testing.T) {
	require.Equal(t, models.Subject("secret:abcd"), models.HashSubject(apikey.Hash{0xab, 0xcd, 0xef}))
	require.Equal(t, models.Subject("key:1"), models.SubjectOf("key", models.KeyID("1")))
}

func TestDirectory(t *testing.T) {
	generate := func(prefix string) string {
		secret, err := apikey.Generate(prefix, apikey.Live)
		require.NoError(t, err)
		return secret.Reveal()
	}
	ours, other := generate("viva"), generate("acme")
	mistyped := ours[:len(ours)-1] + "!"
	spaces := func(imported bool) *models.Directory {
		return models.NewDirectory([]models.Keyspace{{Prefix: "viva"}, {Prefix: "shop", Imported: imported}})
	}
	tests := []struct {
		presented             string
		generated, withImport bool
	}{
		{ours, true, true},
		{generate("shop"), true, true},
		{mistyped, false, false},
		{other, false, true}, // a key of another installation may have been imported
		{"sk_made_elsewhere_0123456789", false, true},
		{"too short", false, false},
		{"", false, false},
		{apikey.GenerateToken().Reveal(), false, false},
	}
	for _, test := range tests {
		require.Equal(t, test.generated, spaces(false).Plausible(test.presented), "%q", test.presented)
		require.Equal(t, test.withImport, spaces(true).Plausible(test.presented), "%q where keys were imported", test.presented)
	}
	require.False(t, models.NewDirectory(nil).Plausible(ours))
}
