package repositories

import (
	"cmp"
	"context"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/viva/rate-limiter/internal/models"
)

// totaled says how far totals have taken up rollups: every cell up to this bucket
// and, of this bucket, up to this key. A bucket is taken up once it is over: with
// every batch, the totals of a key would be added to hundreds of times instead of
// once. What comes late, for a cell that is taken up, is added to both.
type totaled struct {
	Bucket   time.Time
	APIKeyID models.KeyID
}

// TableName is the name of its table, which has one row.
func (totaled) TableName() string { return "usage_totaled" }

// The ids before and after those of all keys.
const (
	beforeKeys models.KeyID = "00000000-0000-0000-0000-000000000000"
	afterKeys  models.KeyID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
)

// untotaled is the condition that no total has taken up a rollup, for the
// statement that reads both.
const untotaled = "(bucket, api_key_id) > (SELECT bucket, api_key_id FROM usage_totaled WHERE one = 1)"

// holds tells whether a cell is taken up.
func (m *totaled) holds(c *models.UsageCell) bool {
	return cmp.Or(c.Bucket.Compare(m.Bucket), cmp.Compare(c.APIKeyID, m.APIKeyID)) <= 0
}

// until gives the instant up to which every cell is taken up.
func (m *totaled) until() time.Time {
	if m.APIKeyID == afterKeys {
		return m.Bucket.Add(models.Bucket)
	}
	return m.Bucket
}

// totaledNow reads how far totals are, with a lock of PostgreSQL's until the
// transaction ends, or none. They never go back: what is before it stays taken up.
func totaledNow(ctx context.Context, db *DB, lock string) (totaled, error) {
	mark, err := find[totaled](ctx, db, usageNoun, func(g *gorm.DB) *gorm.DB {
		if lock != "" {
			g = g.Clauses(clause.Locking{Strength: lock})
		}
		return g.Where("one = 1")
	})
	if err != nil {
		return totaled{}, err
	}
	mark.Bucket = mark.Bucket.UTC()
	return *mark, nil
}

// addLate adds to totals what was added to rollups that are taken up, and keeps
// others from being so until the transaction ends.
func (r Ingest) addLate(ctx context.Context, rows []models.UsageRollup) error {
	mark, err := totaledNow(ctx, r.db, clause.LockingStrengthShare)
	if err != nil {
		return err
	}
	var late []models.UsageTotal
	for i := range rows {
		c := &rows[i]
		if !mark.holds(&c.UsageCell) {
			continue
		}
		for _, level := range models.TotalLevels {
			late = append(late, models.UsageTotal{
				Level: level, Start: models.StartOf(level, c.Bucket), OwnerID: c.OwnerID, APIKeyID: c.APIKeyID, Meter: c.Meter,
				UsageCounts: c.UsageCounts,
			})
		}
	}
	return totalsBulk.write(ctx, r.db, late)
}

// totalKeys is how many keys of a bucket totals take up at a time. Until they have,
// no batch of records is brought in.
const totalKeys = 2000

// Total takes buckets that have ended by an instant up into totals, bit by bit.
// Several processes may do so at once.
func (u UsageUpkeep) Total(ctx context.Context, until time.Time) error {
	for more := true; more; {
		err := u.db.InTx(ctx, func(ctx context.Context) (err error) {
			more, err = u.total(ctx, until)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// total takes up some keys of a bucket; more tells that it did.
func (u UsageUpkeep) total(ctx context.Context, until time.Time) (more bool, err error) {
	mark, err := totaledNow(ctx, u.db, clause.LockingStrengthUpdate)
	if err != nil {
		return false, err
	}
	if mark.APIKeyID == afterKeys {
		var next []time.Time
		err := u.db.do(ctx, usageNoun, func(g *gorm.DB) error {
			return g.Model(&models.UsageRollup{}).Where("bucket > ? AND bucket <= ?", mark.Bucket, until.Add(-models.Bucket)).
				Order("bucket").Limit(1).Pluck("bucket", &next).Error
		})
		if err != nil || len(next) == 0 {
			return false, err
		}
		mark = totaled{next[0].UTC(), beforeKeys}
	}
	last := []models.KeyID{}
	err = u.db.do(ctx, usageNoun, func(g *gorm.DB) error {
		return g.Model(&models.UsageRollup{}).Distinct("api_key_id").Where("bucket = ? AND api_key_id > ?", mark.Bucket, mark.APIKeyID).
			Order("api_key_id").Offset(u.totalKeys-1).Limit(1).Pluck("api_key_id", &last).Error
	})
	if err != nil {
		return false, err
	}
	last = append(last, afterKeys)
	return true, u.db.do(ctx, usageNoun, func(g *gorm.DB) error {
		args := []any{mark.Bucket, mark.APIKeyID, last[0]}
		for _, level := range models.TotalLevels {
			err := g.Exec(takeUp, append([]any{level, models.StartOf(level, mark.Bucket)}, args...)...).Error
			if err != nil {
				return err
			}
		}
		return g.Exec("UPDATE usage_totaled SET bucket = ?, api_key_id = ? WHERE one = 1", mark.Bucket, last[0]).Error
	})
}

// takeUp adds what the keys of a stretch used in a bucket to the totals of one
// level.
var takeUp = "INSERT INTO usage_totals (level, start, owner_id, api_key_id, meter, " + strings.Join(countNames(), ", ") + ")" +
	" SELECT ?, CAST(? AS timestamptz), owner_id, api_key_id, meter, " + summed() +
	" FROM usage_rollups WHERE bucket = ? AND api_key_id > ? AND api_key_id <= ? GROUP BY owner_id, api_key_id, meter " +
	added("usage_totals", totalKey, countNames()...)
