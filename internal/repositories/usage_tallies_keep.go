package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// TallyKeep says how long is kept what tallies are made of.
type TallyKeep struct {
	Rollups   time.Duration // buckets, and totals of days
	Endpoints time.Duration // endpoints of a bucket apart from each other
	// Hours is for how long tallies end at hours: each has every key that was used
	// in its day so far. Those of endpoints are small: they are kept as
	// long as what they are made of.
	Hours time.Duration
}

const (
	// bucketTallies is the same for quarters of an hour. Lists of the last hours
	// begin at any, and so do those of endpoints of up to 48 hours.
	bucketTallies = 50 * time.Hour
	// tallyMargin keeps away from what is being dropped.
	tallyMargin = 24 * time.Hour
)

// tallyGroups are the groups that there are tallies of.
var tallyGroups = []models.UsageGroup{models.GroupOwner, models.GroupKey, models.GroupEndpoint}

// Tally makes the tallies of what has ended by an instant, makes those again
// that something was added to, and drops those that are of no more use.
func (u UsageUpkeep) Tally(ctx context.Context, now time.Time, keep TallyKeep) error {
	var meters []string
	var oldest []time.Time
	err := u.db.do(ctx, usageNoun, func(g *gorm.DB) error {
		if err := g.Raw("SELECT meter FROM usage_sums UNION SELECT meter FROM usage_tallies ORDER BY meter").Scan(&meters).Error; err != nil {
			return err
		}
		return g.Model(&models.UsageTotal{}).Where("level = ?", models.PeriodMonth).Order("start").Limit(1).Pluck("start", &oldest).Error
	})
	if err != nil || len(oldest) == 0 {
		return err
	}
	for _, meter := range meters {
		for _, by := range tallyGroups {
			t := tallies{db: u.db, by: by, meter: meter}
			if err := t.keep(ctx, t.wanted(oldest[0].UTC(), now.UTC(), keep)); err != nil {
				return err
			}
		}
	}
	return nil
}

// wantedTally is a tally there should be, in the order that they are made in:
// each is the one before it and what came after.
type wantedTally struct {
	span
	// makeable tells that all it is made of is still there. If not, one that was
	// made in time remains.
	makeable bool
}

// wanted lists months and days first, and then what is shorter, of the last day
// first: that is asked for the most.
func (t tallies) wanted(oldest, now time.Time, keep TallyKeep) (list []wantedTally) {
	kept, hours := now.Add(-keep.Rollups), now.Add(-min(keep.Hours, keep.Rollups))
	if t.by == models.GroupEndpoint {
		kept = now.Add(-min(keep.Rollups, keep.Endpoints))
		hours = kept
	}
	want := func(since, until time.Time, makeable bool) {
		if !until.After(now) {
			list = append(list, wantedTally{span{Since: since, Until: until}, makeable || !since.Before(kept.Add(tallyMargin))})
		}
	}
	for month := oldest; month.Before(now); month = models.After(models.PeriodMonth, month) {
		end := models.After(models.PeriodMonth, month)
		for day := month.AddDate(0, 0, 1); end.After(kept) && day.Before(end); day = day.AddDate(0, 0, 1) {
			want(month, day, false)
		}
		if t.by != models.GroupEndpoint { // no list of these is so long
			want(month, end, true)
		}
	}
	for day := models.StartOf(models.PeriodDay, now); !day.Before(hours) && !day.Before(oldest); day = day.AddDate(0, 0, -1) {
		for hour := day; hour.Before(day.AddDate(0, 0, 1)); hour = hour.Add(time.Hour) {
			if hour.After(day) {
				want(day, hour, false)
			}
			if !hour.After(now.Add(-bucketTallies)) {
				continue
			}
			for bucket := hour.Add(models.Bucket); bucket.Before(hour.Add(time.Hour)); bucket = bucket.Add(models.Bucket) {
				want(hour, bucket, false)
			}
		}
	}
	return list
}

// keep makes what is wanted and drops the rest.
func (t tallies) keep(ctx context.Context, list []wantedTally) error {
	var stored []struct {
		Since, Until time.Time
		Fresh        bool
	}
	err := t.db.do(ctx, usageNoun, func(g *gorm.DB) error {
		return g.Raw("SELECT t.since, t.until, "+fresh+" AS fresh FROM usage_tallies t WHERE t.meter = ? AND t.grouped_by = ?",
			t.meter, t.by).Scan(&stored).Error
	})
	if err != nil {
		return err
	}
	wanted, have := map[span]bool{}, map[span]bool{}
	for _, w := range list {
		wanted[w.span] = true
	}
	for _, s := range stored {
		at := span{Since: s.Since.UTC(), Until: s.Until.UTC()}
		if have[at] = s.Fresh; !wanted[at] {
			if err := t.drop(ctx, at); err != nil {
				return err
			}
		}
	}
	for _, w := range list {
		if w.makeable && !have[w.span] {
			if err := t.make(ctx, w.span); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t tallies) drop(ctx context.Context, s span) error {
	return t.db.do(ctx, usageNoun, func(g *gorm.DB) error {
		return g.Exec("DELETE FROM usage_tallies WHERE meter = ? AND grouped_by = ? AND since = ? AND until = ?",
			t.meter, t.by, s.Since, s.Until).Error
	})
}

// make stores a tally with the changes it was made at: whatever is added to its
// stretch from then on makes it out of date.
func (t tallies) make(ctx context.Context, s span) error {
	var changes int64
	var list []member
	err := t.db.snapshot(ctx, func(ctx context.Context) error {
		err := t.db.do(ctx, usageNoun, func(g *gorm.DB) error {
			return g.Raw("SELECT COALESCE(SUM(changes), 0) FROM usage_sums WHERE meter = ? AND bucket >= ? AND bucket < ?",
				t.meter, s.Since, s.Until).Scan(&changes).Error
		})
		if err != nil {
			return err
		}
		list, err = t.members(ctx, s)
		return err
	})
	if err != nil {
		return err
	}
	return t.db.do(ctx, usageNoun, func(g *gorm.DB) error {
		return g.Exec("INSERT INTO usage_tallies (meter, grouped_by, since, until, changes, data) VALUES (?, ?, ?, ?, ?, ?)"+
			" ON CONFLICT (meter, grouped_by, since, until) DO UPDATE SET changes = excluded.changes, data = excluded.data",
			t.meter, t.by, s.Since, s.Until, changes, packTally(list)).Error
	})
}

// members adds up all counts of a stretch.
func (t tallies) members(ctx context.Context, s span) (list []member, err error) {
	var plan tallyPlan
	earlier, reached, err := t.until(ctx, s.Since, s.Until)
	if err != nil {
		return nil, err
	}
	plan.add(earlier, 1)
	plan.read(reached, s.Until, 1)
	parts, err := t.parts(ctx, plan, countNames())
	if err != nil {
		return nil, err
	}
	eachMember(parts, func(name string, at []int) {
		list = append(list, member{name, countsAt(parts, at)})
	})
	return list, nil
}
