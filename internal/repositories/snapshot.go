package repositories

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// snapshotRow is what snapshotSQL answers.
type snapshotRow struct {
	Key      models.APIKey   `gorm:"embedded;embeddedPrefix:key_"`
	Secret   models.Secret   `gorm:"embedded;embeddedPrefix:secret_"`
	Keyspace models.Keyspace `gorm:"embedded;embeddedPrefix:keyspace_"`
	Owner    models.Owner    `gorm:"embedded;embeddedPrefix:owner_"`
	Plan     models.Plan     `gorm:"embedded;embeddedPrefix:plan_"`
	Number   int             `gorm:"column:number"`
	Since    time.Time       `gorm:"column:since"`
	Rules    []models.Rule   `gorm:"column:rules;serializer:json"`
}

// snapshotSQL reads what checks use, and no more, in one statement: it sees one
// state of the database. The condition comes behind it.
var snapshotSQL = "SELECT " + strings.Join([]string{
	columns("api_keys", "key_", "id", "keyspace_id", "owner_id", "name", "environment", "expires_at", "revoked_at",
		"suspended_at", "suspended_until", "suspend_reason", "allowed_ips", "permissions", "methods", "endpoints",
		"rules", "tags", "metadata", "version", "created_at", "updated_at"),
	columns("secrets", "secret_", "id", "key_id", "hash", "pepper_id", "mask", "imported", "expires_at", "created_at"),
	columns("keyspaces", "keyspace_", "id", "name", "prefix", "imported", "version"),
	columns("owners", "owner_", "id", "external_id", "name", "plan_id", "plan_version", "implicit", "rules",
		"plan_since", "time_zone", "anchor_day", "archived_at", "version"),
	columns("plans", "plan_", "id", "name", "current", "archived_at", "version"),
	columns("plan_versions", "", "number", "rules"), "plan_versions.created_at AS since",
}, ", ") + `
FROM secrets
JOIN api_keys ON api_keys.id = secrets.key_id
JOIN keyspaces ON keyspaces.id = api_keys.keyspace_id
JOIN owners ON owners.id = api_keys.owner_id
JOIN plans ON plans.id = owners.plan_id
JOIN plan_versions ON plan_versions.plan_id = owners.plan_id
	AND plan_versions.number = COALESCE(owners.plan_version, plans.current)
WHERE `

func columns(table, prefix string, names ...string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = table + "." + name + " AS " + prefix + name
	}
	return strings.Join(list, ", ")
}

// Snapshot gives all that a check needs to know of a secret, compiled, in one
// statement. The hashes are the forms in which that of the secret may have been
// stored. Descriptions, the owner's e-mail address and metadata other than the
// key's are left empty, and so are the times of rows other than the key and the
// secret.
func (r Keys) Snapshot(ctx context.Context, hashes []apikey.Hash) (*models.Snapshot, error) {
	return r.snapshot(ctx, "secrets.hash IN ? LIMIT 1", hashes)
}

// SnapshotOf gives the same of a key, seen through the newest of its secrets.
func (r Keys) SnapshotOf(ctx context.Context, id models.KeyID) (*models.Snapshot, error) {
	parsed, err := models.ParseID[models.KeyID](string(id))
	if err != nil {
		return nil, apierror.NotFound("key")
	}
	return r.snapshot(ctx, "secrets.key_id = ? ORDER BY secrets.created_at DESC, secrets.id DESC LIMIT 1", parsed)
}

func (r Keys) snapshot(ctx context.Context, condition string, argument any) (*models.Snapshot, error) {
	var row snapshotRow
	err := r.db.do(ctx, "key", func(g *gorm.DB) error {
		result := g.Raw(snapshotSQL+condition, argument).Scan(&row)
		if result.Error == nil && result.RowsAffected == 0 {
			return gorm.ErrRecordNotFound
		}
		return result.Error
	})
	if err != nil {
		return nil, err
	}
	snapshot := &models.Snapshot{
		Key: row.Key, Secret: row.Secret, Keyspace: row.Keyspace, Owner: row.Owner, Plan: row.Plan,
		PlanVersion: row.Number, VersionSince: row.Since, PlanRules: row.Rules,
	}
	if err := snapshot.Compile(); err != nil {
		return nil, err
	}
	return snapshot, nil
}
