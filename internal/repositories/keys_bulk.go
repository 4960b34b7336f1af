package repositories

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// Keys come by the million, so they and what is made with them are written as
// usage is, and not row by row as other entities are.
var (
	newKeys = bulk[models.APIKey]{
		table: "api_keys", noun: "key",
		columns: []bulkColumn[models.APIKey]{
			idOf("id", func(k *models.APIKey) string { return string(k.ID) }),
			idOf("keyspace_id", func(k *models.APIKey) string { return string(k.KeyspaceID) }),
			idOf("owner_id", func(k *models.APIKey) string { return string(k.OwnerID) }),
			textOf("name", func(k *models.APIKey) string { return k.Name }),
			textOf("environment", func(k *models.APIKey) string { return string(k.Environment) }),
			maybeOf("expires_at", func(k *models.APIKey) *time.Time { return k.ExpiresAt }),
			maybeOf("expiry_noted_at", func(k *models.APIKey) *time.Time { return k.ExpiryNotedAt }),
			maybeOf("revoked_at", func(k *models.APIKey) *time.Time { return k.RevokedAt }),
			maybeOf("suspended_at", func(k *models.APIKey) *time.Time { return k.SuspendedAt }),
			maybeOf("suspended_until", func(k *models.APIKey) *time.Time { return k.SuspendedUntil }),
			textOf("suspend_reason", func(k *models.APIKey) string { return k.SuspendReason }),
			jsonOf("allowed_ips", func(k *models.APIKey) []string { return k.AllowedIPs }),
			jsonOf("permissions", func(k *models.APIKey) []string { return k.Permissions }),
			jsonOf("methods", func(k *models.APIKey) []string { return k.Methods }),
			jsonOf("endpoints", func(k *models.APIKey) []string { return k.Endpoints }),
			jsonOf("rules", func(k *models.APIKey) []models.Rule { return k.Rules }),
			jsonOf("tags", func(k *models.APIKey) []string { return k.Tags }),
			membersOf("metadata", func(k *models.APIKey) map[string]string { return k.Metadata }),
			numberOf("version", func(k *models.APIKey) int64 { return k.Version }),
			instantOf("created_at", func(k *models.APIKey) time.Time { return k.CreatedAt }),
			instantOf("updated_at", func(k *models.APIKey) time.Time { return k.UpdatedAt }),
		},
	}
	// In the order of their hashes, which two batches could otherwise wait for in a
	// circle.
	newSecrets = bulk[models.Secret]{
		table: "secrets", noun: "secret",
		columns: []bulkColumn[models.Secret]{
			idOf("id", func(s *models.Secret) string { return string(s.ID) }),
			idOf("key_id", func(s *models.Secret) string { return string(s.KeyID) }),
			columnOf("hash", "bytea[]", "", func(s *models.Secret) []byte { return s.Hash[:] }),
			textOf("pepper_id", func(s *models.Secret) string { return s.PepperID }),
			textOf("mask", func(s *models.Secret) string { return s.Mask }),
			flagOf("imported", func(s *models.Secret) bool { return s.Imported }),
			maybeOf("expires_at", func(s *models.Secret) *time.Time { return s.ExpiresAt }),
			instantOf("created_at", func(s *models.Secret) time.Time { return s.CreatedAt }),
		},
		compare: func(a, b *models.Secret) int { return bytes.Compare(a.Hash[:], b.Hash[:]) },
	}
	newOwners = bulk[models.Owner]{
		table: "owners", noun: "owner",
		columns: []bulkColumn[models.Owner]{
			idOf("id", func(o *models.Owner) string { return string(o.ID) }),
			columnOf("external_id", "text[]", "", func(o *models.Owner) *string { return o.ExternalID }),
			textOf("name", func(o *models.Owner) string { return o.Name }),
			textOf("email", func(o *models.Owner) string { return o.Email }),
			idOf("plan_id", func(o *models.Owner) string { return string(o.PlanID) }),
			columnOf("plan_version", "bigint[]", "", func(o *models.Owner) *int64 {
				if o.PlanVersion == nil {
					return nil
				}
				number := int64(*o.PlanVersion)
				return &number
			}),
			instantOf("plan_since", func(o *models.Owner) time.Time { return o.PlanSince }),
			flagOf("implicit", func(o *models.Owner) bool { return o.Implicit }),
			jsonOf("rules", func(o *models.Owner) []models.Rule { return o.Rules }),
			textOf("time_zone", func(o *models.Owner) string { return o.TimeZone }),
			numberOf("anchor_day", func(o *models.Owner) int64 { return int64(o.AnchorDay) }),
			membersOf("metadata", func(o *models.Owner) map[string]string { return o.Metadata }),
			maybeOf("archived_at", func(o *models.Owner) *time.Time { return o.ArchivedAt }),
			numberOf("version", func(o *models.Owner) int64 { return o.Version }),
			instantOf("created_at", func(o *models.Owner) time.Time { return o.CreatedAt }),
			instantOf("updated_at", func(o *models.Owner) time.Time { return o.UpdatedAt }),
		},
	}
)

// keyTag is a tag of a key, as SQLite keeps it to find keys by.
type keyTag struct{ tag, key string }

var newTags = bulk[keyTag]{
	table: "key_tags", noun: "key",
	columns: []bulkColumn[keyTag]{
		textOf("tag", func(t *keyTag) string { return t.tag }),
		textOf("key_id", func(t *keyTag) string { return t.key }),
	},
	conflict: kept,
}

// maybeOf is an instant that there may be none of.
func maybeOf[T any](name string, of func(*T) *time.Time) bulkColumn[T] {
	return columnOf(name, "timestamptz[]", "", of)
}

// membersOf stores no members as NULL.
func membersOf[T any](name string, of func(*T) map[string]string) bulkColumn[T] {
	return columnOf(name, "text[]", "::jsonb", func(row *T) *string {
		members := of(row)
		if len(members) == 0 {
			return nil
		}
		data, _ := json.Marshal(members) // text always can be
		text := string(data)
		return &text
	})
}
