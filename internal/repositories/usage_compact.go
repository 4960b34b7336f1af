package repositories

import (
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// compactRows bounds the rows that are looked up to be merged at a time.
const compactRows = 5000

// unmerged is the condition, and that of an index, for rows that can be merged
// into the one of their key for all endpoints.
const unmerged = "(endpoint <> '" + models.OtherEndpoint + "' OR method <> '')"

// compaction merges the endpoints of one table.
type compaction struct {
	table string
	group []string // what stays apart, beside endpoint and method
	sums  []string
}

var compactions = []compaction{
	{"usage_rollups", []string{"api_key_id", "bucket", "segment_id", "meter"}, countNames()},
	{"usage_latencies", []string{"api_key_id", "bucket", "segment_id", "meter", "latency"}, []string{"count"}},
}

// Compact adds the endpoints and methods of each bucket from before an instant
// together, and tells how many rows went into others. Buckets, segments, keys
// and meters stay apart: what any of these adds up to is the same as before. It
// goes by the rows of a few keys of one bucket at a time.
func (u UsageUpkeep) Compact(ctx context.Context, before time.Time) (cells int64, err error) {
	for _, c := range compactions {
		for {
			bucket, keys, err := c.next(ctx, u.db, before)
			if err != nil {
				return cells, err
			}
			if len(keys) == 0 {
				break
			}
			var merged int64
			err = u.db.InTx(ctx, func(ctx context.Context) error {
				return u.db.do(ctx, "usage", func(g *gorm.DB) (err error) {
					merged, err = c.merge(g, u.db, bucket, keys)
					return err
				})
			})
			if err != nil {
				return cells, err
			}
			cells += merged
		}
	}
	return cells, nil
}

// next finds the oldest bucket that has something to merge, and keys that do.
func (c compaction) next(ctx context.Context, db *DB, before time.Time) (bucket time.Time, keys []models.KeyID, err error) {
	var rows []struct {
		Bucket   time.Time
		APIKeyID models.KeyID
	}
	err = db.do(ctx, "usage", func(g *gorm.DB) error {
		return g.Table(c.table).Select("bucket", "api_key_id").Where("bucket < ? AND "+unmerged, before).
			Order("bucket").Limit(compactRows).Scan(&rows).Error
	})
	for _, row := range rows {
		if !row.Bucket.Equal(rows[0].Bucket) {
			break
		}
		bucket, keys = row.Bucket, append(keys, row.APIKeyID)
	}
	slices.Sort(keys)
	return bucket, slices.Compact(keys), err
}

// merge gives the rows that went away.
func (c compaction) merge(g *gorm.DB, db *DB, bucket time.Time, keys []models.KeyID) (int64, error) {
	of := "bucket = ? AND api_key_id " + db.among + " AND " + unmerged
	args := []any{bucket, among(db, keys)}
	if db.engine == Postgres {
		// In one statement: it merges what it deletes, whatever others add meanwhile.
		var merged int64
		err := g.Raw("WITH gone AS (DELETE FROM "+c.table+" WHERE "+of+" RETURNING *), merged AS ("+
			c.insert("gone", "(array_agg(owner_id))[1]")+") SELECT count(*) FROM gone", args...).Scan(&merged).Error
		return merged, err
	}
	if err := g.Exec(c.insert(c.table+" WHERE "+of, "min(owner_id)"), args...).Error; err != nil {
		return 0, err
	}
	result := g.Exec("DELETE FROM "+c.table+" WHERE "+of, args...)
	return result.RowsAffected, result.Error
}

// insert adds the rows selected to those for all endpoints. The owner follows
// from the segment; any of them has the right one.
func (c compaction) insert(rows, owner string) string {
	group, sums := strings.Join(c.group, ", "), make([]string, len(c.sums))
	for i, name := range c.sums {
		sums[i] = "sum(" + name + ")"
	}
	return "INSERT INTO " + c.table + " (" + group + ", endpoint, method, owner_id, " + strings.Join(c.sums, ", ") + ")" +
		" SELECT " + group + ", '" + models.OtherEndpoint + "', '', " + owner + ", " + strings.Join(sums, ", ") +
		" FROM " + rows + " GROUP BY " + group + " ORDER BY " + group +
		" " + added(c.table, group+", endpoint, method", c.sums...)
}
