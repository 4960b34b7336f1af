package models_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

func at(offset time.Duration) *time.Time { return ptr(noon.Add(offset)) }

func TestKeyStatus(t *testing.T) {
	tests := []struct {
		name string
		key  models.APIKey
		want models.KeyStatus
	}{
		{"new", models.APIKey{}, models.KeyActive},
		{"before expiry", models.APIKey{ExpiresAt: at(1)}, models.KeyActive},
		{"at expiry", models.APIKey{ExpiresAt: at(0)}, models.KeyExpired},
		{"after expiry", models.APIKey{ExpiresAt: at(-1)}, models.KeyExpired},
		{"suspended without end", models.APIKey{SuspendedAt: at(-1)}, models.KeySuspended},
		{"suspended until later", models.APIKey{SuspendedAt: at(-1), SuspendedUntil: at(1)}, models.KeySuspended},
		{"suspended until now", models.APIKey{SuspendedAt: at(-1), SuspendedUntil: at(0)}, models.KeyActive},
		{"suspended until a while ago", models.APIKey{SuspendedAt: at(-2), SuspendedUntil: at(-1)}, models.KeyActive},
		{"revoked", models.APIKey{RevokedAt: at(-1)}, models.KeyRevoked},
		{"expired and suspended", models.APIKey{ExpiresAt: at(0), SuspendedAt: at(-1)}, models.KeyExpired},
		{"revoked, expired and suspended", models.APIKey{RevokedAt: at(0), ExpiresAt: at(0), SuspendedAt: at(-1)}, models.KeyRevoked},
	}
	for _, test := range tests {
		require.Equal(t, test.want, test.key.Status(noon), test.name)
	}
}

func TestSnapshotStatusSeesTheSecretPresented(t *testing.T) {
	tests := []struct {
		name   string
		key    models.APIKey
		secret models.Secret
		want   models.KeyStatus
	}{
		{"in force", models.APIKey{}, models.Secret{}, models.KeyActive},
		{"in its grace", models.APIKey{}, models.Secret{ExpiresAt: at(1)}, models.KeyActive},
		{"at the end of its grace", models.APIKey{}, models.Secret{ExpiresAt: at(0)}, models.KeyExpired},
		{"of a suspended key", models.APIKey{SuspendedAt: at(-1)}, models.Secret{}, models.KeySuspended},
		{"past its grace, of a suspended key", models.APIKey{SuspendedAt: at(-1)}, models.Secret{ExpiresAt: at(-1)}, models.KeyExpired},
		{"past its grace, of a revoked key", models.APIKey{RevokedAt: at(-1)}, models.Secret{ExpiresAt: at(-1)}, models.KeyRevoked},
	}
	for _, test := range tests {
		s := models.Snapshot{Key: test.key, Secret: test.secret}
		require.Equal(t, test.want, s.Status(noon), test.name)
	}
}

func TestRevocationIsForEver(t *testing.T) {
	var k models.APIKey
	k.Revoke(noon)
	k.Revoke(noon.Add(time.Hour))
	require.Equal(t, at(0), k.RevokedAt, "the first instant stays")
	require.ErrorIs(t, k.Activate(), apierror.CodeConflict)
	require.ErrorIs(t, k.Suspend(noon, nil, ""), apierror.CodeConflict)
	require.Nil(t, k.SuspendedAt)
}

func TestSuspendAndActivate(t *testing.T) {
	var k models.APIKey
	require.NoError(t, k.Suspend(noon, at(time.Hour), "abuse"))
	require.Equal(t, models.KeySuspended, k.Status(noon))
	require.Equal(t, models.KeyActive, k.Status(noon.Add(time.Hour)), "it ends by itself")
	require.Equal(t, "abuse", k.SuspendReason)
	require.NoError(t, k.Suspend(noon, nil, ""))
	require.Equal(t, models.APIKey{SuspendedAt: at(0)}, k, "the last suspension counts")
	require.NoError(t, k.Activate())
	require.Equal(t, models.APIKey{}, k)

	for _, until := range []*time.Time{at(0), at(-1), ptr(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))} {
		require.Equal(t, []string{"until"}, fields(t, k.Suspend(noon, until, "")))
	}
	require.Equal(t, []string{"reason"}, fields(t, k.Suspend(noon, nil, strings.Repeat("x", 256))))
	require.Nil(t, k.SuspendedAt, "nothing happens to a key by a bad call")
}

func TestNormalizeKey(t *testing.T) {
	k := models.APIKey{
		ExpiresAt: ptr(time.Date(2030, 1, 1, 1, 0, 0, 1_001, time.FixedZone("", 3600))),
		Methods:   []string{"get"},
		Rules:     []models.Rule{{Name: "r"}},
		AllowedIPs: []string{
			"10.1.2.3/8", "192.0.2.1", "::ffff:192.0.2.1", "::ffff:10.0.0.0/104", "2001:db8::1", "2001:db8::1/32",
			"::/0", "fe80::1%eth0", "nonsense",
		},
	}
	k.Normalize()
	require.Equal(t, []string{
		"10.0.0.0/8", "192.0.2.1/32", "192.0.2.1/32", "10.0.0.0/8", "2001:db8::1/128", "2001:db8::/32",
		"::/0", "fe80::1%eth0", "nonsense",
	}, k.AllowedIPs)
	require.Equal(t, time.Date(2030, 1, 1, 0, 0, 0, 1_000, time.UTC), *k.ExpiresAt)
	require.Equal(t, []string{"GET"}, k.Methods)
	require.Equal(t, models.ScopeKey, k.Rules[0].Scope)

	again := k
	again.Normalize()
	require.Equal(t, k, again)
}

func TestKeyBounds(t *testing.T) {
	word := func(i int) string { return fmt.Sprint("w", i) }
	network := func(i int) string { return fmt.Sprintf("10.0.%d.0/24", i) }
	tests := []struct {
		name   string
		change func(k *models.APIKey)
		bad    []string
	}{
		{"as it should be", func(*models.APIKey) {}, nil},
		{"no name", func(k *models.APIKey) { k.Name = "" }, []string{"name"}},
		{"expiry out of range", func(k *models.APIKey) { k.ExpiresAt = ptr(time.Unix(-1, 0)) }, []string{"expires_at"}},
		{"most networks", func(k *models.APIKey) { k.AllowedIPs = repeat(64, network) }, nil},
		{"too many networks", func(k *models.APIKey) { k.AllowedIPs = repeat(65, network) }, []string{"allowed_ips"}},
		{"no network", func(k *models.APIKey) { k.AllowedIPs = []string{"10.0.0.0/8", "10.0.0.0/33", "eth0", ""} },
			[]string{"allowed_ips[1]", "allowed_ips[2]", "allowed_ips[3]"}},
		{"an address with a zone", func(k *models.APIKey) { k.AllowedIPs = []string{"fe80::1%eth0"} }, []string{"allowed_ips[0]"}},
		{"most permissions", func(k *models.APIKey) { k.Permissions = repeat(64, word) }, nil},
		{"too many permissions", func(k *models.APIKey) { k.Permissions = repeat(65, word) }, []string{"permissions"}},
		{"too long a permission", func(k *models.APIKey) { k.Permissions = []string{strings.Repeat("x", 129)} }, []string{"permissions[0]"}},
		{"a permission twice", func(k *models.APIKey) { k.Permissions = []string{"a", "a"} }, []string{"permissions[1]"}},
		{"most tags", func(k *models.APIKey) { k.Tags = repeat(32, word) }, nil},
		{"too many tags", func(k *models.APIKey) { k.Tags = repeat(33, word) }, []string{"tags"}},
		{"too long a tag", func(k *models.APIKey) { k.Tags = []string{strings.Repeat("x", 65)} }, []string{"tags[0]"}},
		{"a bad method", func(k *models.APIKey) { k.Methods = []string{"G T"} }, []string{"methods[0]"}},
		{"a bad endpoint", func(k *models.APIKey) { k.Endpoints = []string{"/a", "/["} }, []string{"endpoints[1]"}},
		{"a bad rule", func(k *models.APIKey) { k.Rules = []models.Rule{{Name: "r", Limit: 1}} }, []string{"rules[0].window"}},
		{"a rule for the owner", func(k *models.APIKey) {
			k.Rules = []models.Rule{{Name: "r", Limit: 1, Window: time.Second, Scope: models.ScopeOwner}}
		}, []string{"rules[0].scope"}},
		{"bad metadata", func(k *models.APIKey) { k.Metadata = map[string]string{"a": "\x00"} }, []string{"metadata.a"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := models.APIKey{Name: "Checkout"}
			test.change(&k)
			k.Normalize()
			require.Equal(t, test.bad, bad(t, k.Validate))
		})
	}
}
