package repositories

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// hourly are the conditions of totals of hours.
const hourly = "level = 'hour' AND meter = '" + models.MeterRequests + "'"

// inHours selects the units of the hours that begin at these instants, with the
// number n of the hour, and the key and the owner that used them.
func (r AlertCauses) inHours(ctx context.Context, f models.AlertFilter, hours ...time.Time) (query string, args []any, err error) {
	_, condition, args := counted("", f)
	s := &summation{db: r.db, q: &models.UsageQuery{}}
	for n, hour := range hours {
		s.add(n, hour, hour.Add(time.Hour))
	}
	if _, err := s.open(ctx); err != nil {
		return "", nil, err
	}
	query, args = s.union("api_key_id, owner_id, ", []string{"units"}, "meter = '"+models.MeterRequests+"'"+condition, args...)
	return query, args, nil
}

// Surges gives those that used so many units in an hour, at least p.MinUnits and
// p.Factor times the mean of the same hour of those past weeks in which they used
// any.
func (r AlertCauses) Surges(ctx context.Context, p *models.AlertParams, f models.AlertFilter, hour time.Time, past []time.Time) ([]models.AlertSum, error) {
	name, _, _ := counted(p.Per, f)
	now, args, err := r.inHours(ctx, f, hour)
	if err != nil {
		return nil, err
	}
	return r.sums(ctx, "SELECT CAST(n.name AS text) AS name, n.owner_id AS owner_id, CAST(n.units AS BIGINT) AS count,"+
		" CAST(SUM(u.units) AS BIGINT) AS past, COUNT(DISTINCT u.start) AS weeks"+
		" FROM (SELECT "+name+" AS name, MIN(CAST(owner_id AS text)) AS owner_id, SUM(units) AS units FROM ("+now+
		") h GROUP BY "+name+" HAVING SUM(units) >= ?) n"+
		" JOIN usage_totals u ON u."+name+" = n.name AND u.level = 'hour' AND u.meter = '"+models.MeterRequests+"' AND u.start IN ? AND u.units > 0"+
		" GROUP BY n.name, n.owner_id, n.units"+
		" HAVING CAST(n.units AS DOUBLE PRECISION) * COUNT(DISTINCT u.start) >= CAST(? AS DOUBLE PRECISION) * CAST(SUM(u.units) AS DOUBLE PRECISION)"+
		" ORDER BY name",
		slices.Concat(args, []any{p.MinUnits, past, p.Factor})...)
}

// Slumps gives those that used in an hour no more than the mean of the same hour
// of past weeks, which is at least p.MinUnits, divided by p.Factor.
func (r AlertCauses) Slumps(ctx context.Context, p *models.AlertParams, f models.AlertFilter, hour time.Time, past []time.Time) ([]models.AlertSum, error) {
	name, condition, filter := counted(p.Per, f)
	now, args, err := r.inHours(ctx, models.AlertFilter{}, hour)
	if err != nil {
		return nil, err
	}
	return r.sums(ctx, "SELECT CAST(n.name AS text) AS name, n.owner_id AS owner_id, CAST(COALESCE(SUM(u.units), 0) AS BIGINT) AS count,"+
		" CAST(n.units AS BIGINT) AS past, n.weeks AS weeks"+
		" FROM (SELECT "+name+" AS name, MIN(CAST(owner_id AS text)) AS owner_id, SUM(units) AS units, COUNT(DISTINCT start) AS weeks FROM usage_totals"+
		" WHERE "+hourly+" AND start IN ? AND units > 0"+condition+" GROUP BY "+name+" HAVING SUM(units) >= ? * COUNT(DISTINCT start)) n"+
		" LEFT JOIN (SELECT "+name+", SUM(units) AS units FROM ("+now+") h GROUP BY "+name+") u ON u."+name+" = n.name"+
		" GROUP BY n.name, n.owner_id, n.units, n.weeks"+
		" HAVING CAST(COALESCE(SUM(u.units), 0) AS DOUBLE PRECISION) * n.weeks * CAST(? AS DOUBLE PRECISION) <= CAST(n.units AS DOUBLE PRECISION)"+
		" ORDER BY name",
		slices.Concat([]any{past}, filter, []any{p.MinUnits}, args, []any{p.Factor})...)
}

// UnitsByHour gives the units of each in the hours from from to to, the last one
// included, at most limit rows.
func (r AlertCauses) UnitsByHour(ctx context.Context, per models.AlertPer, f models.AlertFilter, from, to time.Time, limit int) ([]models.AlertSum, error) {
	var hours []time.Time
	for hour := from; !hour.After(to); hour = hour.Add(time.Hour) {
		hours = append(hours, hour)
	}
	name, _, _ := counted(per, f)
	query, args, err := r.inHours(ctx, f, hours...)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		N               int
		models.AlertSum `gorm:"embedded"`
	}
	err = r.db.do(ctx, causeNoun, func(g *gorm.DB) error {
		return g.Raw("SELECT "+whose(name)+", n, CAST(SUM(units) AS BIGINT) AS count FROM ("+query+
			") h GROUP BY n, "+name+" HAVING SUM(units) > 0 ORDER BY n, name LIMIT ?", append(args, limit)...).Scan(&rows).Error
	})
	sums := make([]models.AlertSum, len(rows))
	for i := range rows {
		sums[i] = rows[i].AlertSum
		sums[i].At = hours[rows[i].N]
	}
	return sums, err
}

// UnitsByBucket gives the units that keys, or the keys of owners, used in the
// buckets from from to to, the last one included, at most limit rows.
func (r AlertCauses) UnitsByBucket(ctx context.Context, per models.AlertPer, ids []string, from, to time.Time, limit int) ([]models.AlertSum, error) {
	name, _, _ := counted(per, models.AlertFilter{})
	return r.sums(ctx, "SELECT "+whose(name)+", bucket AS at, CAST(SUM(units) AS BIGINT) AS count FROM usage_rollups"+
		" WHERE "+name+" "+r.db.among+" AND bucket >= ? AND bucket <= ? AND meter = ? GROUP BY "+name+", bucket ORDER BY bucket, name LIMIT ?",
		among(r.db, ids), from, to, models.MeterRequests, limit)
}

// Jobs counts the jobs that were given up.
func (r AlertCauses) Jobs(ctx context.Context) (n int64, err error) {
	err = r.db.do(ctx, causeNoun, func(g *gorm.DB) error {
		return g.Model(&models.Job{}).Where("failed_at IS NOT NULL").Count(&n).Error
	})
	return n, err
}

// Losses counts the records that journals were found to have lost since an
// instant, and those that the database refused.
func (r AlertCauses) Losses(ctx context.Context, since time.Time) (n int64, err error) {
	err = r.db.do(ctx, causeNoun, func(g *gorm.DB) error {
		return g.Raw("SELECT CAST((SELECT COALESCE(SUM(to_seq - from_seq + 1), 0) FROM ingest_gaps WHERE found_at > ?)"+
			" + (SELECT COUNT(*) FROM ingest_rejects WHERE rejected_at > ?) AS BIGINT)", since, since).Scan(&n).Error
	})
	return n, err
}

// Disabled counts the destinations that the service itself has disabled, after
// they failed for long.
func (r AlertCauses) Disabled(ctx context.Context) (n int64, err error) {
	err = r.db.do(ctx, causeNoun, func(g *gorm.DB) error {
		return g.Model(&models.Destination{}).Where("disabled_at IS NOT NULL AND failing_since IS NOT NULL").Count(&n).Error
	})
	return n, err
}

// Missing gives those of the ids that are no destinations.
func (r AlertCauses) Missing(ctx context.Context, ids []models.DestinationID) ([]models.DestinationID, error) {
	found, err := findMany(ctx, r.db, "destination", ids, func(d *models.Destination) models.DestinationID { return d.ID })
	if err != nil {
		return nil, err
	}
	var missing []models.DestinationID
	for _, id := range ids {
		if _, ok := found[id]; !ok {
			missing = append(missing, id)
		}
	}
	return missing, nil
}
