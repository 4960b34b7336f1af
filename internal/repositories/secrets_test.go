package repositories_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestSecretsOfManyKeysComeOldestFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		a, b := s.key(t), s.key(t)
		want := map[models.KeyID][]models.Secret{}
		for _, text := range []string{"1", "2", "3"} {
			for _, key := range []*models.APIKey{a, b} {
				secret := s.newSecret(key.ID, string(key.ID)+text)
				require.NoError(t, s.keys.AddSecret(t.Context(), &secret))
				want[key.ID] = append(want[key.ID], secret)
			}
			s.clock.advance(time.Microsecond)
		}
		got, err := s.keys.SecretsOf(t.Context(), []models.KeyID{a.ID, b.ID, models.NewID[models.KeyID]()})
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = s.keys.SecretsOf(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, got)
	})
}

func TestRotationShortensLivesAndNeverLengthensThem(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		key, other := s.key(t), s.key(t)
		now := s.clock.Now()
		expiries := map[string]*time.Time{
			"forever": nil, "gone": ptr(now.Add(-time.Second)), "soon": ptr(now.Add(time.Second)), "late": ptr(now.Add(time.Hour)),
		}
		for text, expires := range expiries {
			secret := s.newSecret(key.ID, text)
			secret.ExpiresAt = expires
			require.NoError(t, s.keys.AddSecret(t.Context(), &secret))
		}
		require.NoError(t, s.keys.AddSecret(t.Context(), ptr(s.newSecret(other.ID, "other"))))

		grace := now.Add(time.Minute)
		require.NoError(t, s.keys.ExpireSecrets(t.Context(), key.ID, grace))
		require.Equal(t, map[apikey.Hash]*time.Time{
			apikey.Sum("forever"): &grace, apikey.Sum("gone"): expiries["gone"],
			apikey.Sum("soon"): expiries["soon"], apikey.Sum("late"): &grace,
		}, expiriesOf(t, s, key.ID))

		require.NoError(t, s.keys.DropSecrets(t.Context(), key.ID, now.Add(time.Second)))
		require.Equal(t, map[apikey.Hash]*time.Time{apikey.Sum("forever"): &grace, apikey.Sum("late"): &grace}, expiriesOf(t, s, key.ID))
		require.Equal(t, map[apikey.Hash]*time.Time{apikey.Sum("other"): nil}, expiriesOf(t, s, other.ID))
	})
}

func expiriesOf(t *testing.T, s *suite, key models.KeyID) map[apikey.Hash]*time.Time {
	t.Helper()
	secrets, err := s.keys.SecretsOf(t.Context(), []models.KeyID{key})
	require.NoError(t, err)
	expiries := map[apikey.Hash]*time.Time{}
	for _, secret := range secrets[key] {
		expiries[secret.Hash] = secret.ExpiresAt
	}
	return expiries
}

func TestKeyIsFoundByAnyStoredFormOfItsSecret(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		key := s.key(t)
		s.key(t)
		secret := s.newSecret(key.ID, "x")
		require.NoError(t, s.keys.AddSecret(t.Context(), &secret))
		plain, peppered := secret.Hash, secret.Hash.Pepper([]byte("pepper"))

		got, err := s.keys.FindBySecret(t.Context(), []apikey.Hash{peppered, plain})
		require.NoError(t, err)
		require.Equal(t, key, got)
		_, err = s.keys.FindBySecret(t.Context(), []apikey.Hash{peppered})
		refused(t, err, apierror.CodeNotFound)

		require.NoError(t, s.keys.Rehash(t.Context(), secret.ID, peppered, "2026"))
		got, err = s.keys.FindBySecret(t.Context(), []apikey.Hash{peppered, plain})
		require.NoError(t, err)
		require.Equal(t, key, got)
		_, err = s.keys.FindBySecret(t.Context(), []apikey.Hash{plain})
		refused(t, err, apierror.CodeNotFound)
		secrets, err := s.keys.SecretsOf(t.Context(), []models.KeyID{key.ID})
		require.NoError(t, err)
		require.Equal(t, "2026", secrets[key.ID][0].PepperID)
		refused(t, s.keys.Rehash(t.Context(), models.NewID[models.SecretID](), plain, ""), apierror.CodeNotFound)
	})
}

func TestKeysAndSecretsAreStoredTogetherOrNotAtAll(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		owner := s.owner(t)
		key := s.newKey(t, owner.ID)
		secrets := []models.Secret{s.newSecret(key.ID, "x"), s.newSecret(key.ID, "x")}
		taken := refused(t, s.keys.Create(t.Context(), []models.APIKey{key}, secrets), apierror.CodeAlreadyExists)
		require.Equal(t, "hash", field(t, taken))
		_, err := s.keys.Find(t.Context(), key.ID)
		refused(t, err, apierror.CodeNotFound)
	})
}
