package alerts

import (
	"context"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// history reads what a rule would have found in the range of a preview.
func (s *Service) history(ctx context.Context, r *models.AlertRule, p *Preview) (past, error) {
	params := &r.Params
	switch r.Kind {
	case models.AlertViolations:
		from, to := p.From.Truncate(time.Minute), p.To.Truncate(time.Minute)
		rows, err := s.Causes.ViolationsByMinute(ctx, params.Per, r.Filter(), windowStart(params, from, time.Minute), to, maxPreviewRows+1)
		return newSlide(r, rows, time.Minute, 0, func(sum *models.AlertSum) bool { return sum.Count >= params.Count }), bounded(rows, err)
	case models.AlertErrorRate:
		from, to := models.BucketOf(p.From), models.BucketOf(p.To)
		rows, err := s.Causes.ErrorsByBucket(ctx, params, r.Filter(), windowStart(params, from, models.Bucket), to, maxPreviewRows+1)
		return newSlide(r, rows, models.Bucket, lastMinute, func(sum *models.AlertSum) bool {
			return sum.Count >= params.MinReports && sum.Errors*100*100 >= sum.Count*params.Hundredths()
		}), bounded(rows, err)
	case models.AlertAnomaly:
		from, to := p.From.Truncate(time.Hour), p.To.Truncate(time.Hour)
		rows, err := s.Causes.UnitsByHour(ctx, params.Per, r.Filter(), from.AddDate(0, 0, -7*params.Weeks).Add(-time.Hour), to, maxPreviewRows+1)
		return newHours(r, rows), bounded(rows, err)
	default:
		p.Estimated = true
		return s.quotaHistory(ctx, r, p)
	}
}

// lastMinute is where in a bucket its usage is taken to be complete.
const lastMinute = models.Bucket - time.Minute

// bounded refuses more history than a preview reads.
func bounded(rows []models.AlertSum, err error) error {
	if err == nil && len(rows) > maxPreviewRows {
		return apierror.Invalid(apierror.Field{
			In: apierror.Body, Name: "from", Detail: "must be later, or the rule narrower: there is more history than a preview reads",
		})
	}
	return err
}

// slide adds rows up in a window that moves over them.
type slide struct {
	rule    *models.AlertRule
	rows    []models.AlertSum // by time
	every   time.Duration
	offset  time.Duration
	reaches func(*models.AlertSum) bool

	first, next int // of the rows: the first in the window, and the one after its last
	sums        map[string]*models.AlertSum
	above       map[string]bool
}

func newSlide(r *models.AlertRule, rows []models.AlertSum, every, offset time.Duration, reaches func(*models.AlertSum) bool) *slide {
	return &slide{
		rule: r, rows: rows, every: every, offset: offset, reaches: reaches, sums: map[string]*models.AlertSum{}, above: map[string]bool{},
	}
}

func (s *slide) step() (step, offset time.Duration) { return s.every, s.offset }

func (s *slide) at(t time.Time) []models.AlertCause {
	last := t.Truncate(s.every)
	begin := windowStart(&s.rule.Params, last, s.every)
	for ; s.next < len(s.rows) && !s.rows[s.next].At.After(last); s.next++ {
		s.add(&s.rows[s.next], 1)
	}
	for ; s.first < s.next && s.rows[s.first].At.Before(begin); s.first++ {
		s.add(&s.rows[s.first], -1)
	}
	causes := make([]models.AlertCause, 0, len(s.above))
	for _, name := range slices.Sorted(maps.Keys(s.above)) {
		causes = append(causes, windowedCause(s.rule, s.sums[name]))
	}
	return causes
}

func (s *slide) add(row *models.AlertSum, sign int64) {
	sum := s.sums[row.Name]
	if sum == nil {
		sum = &models.AlertSum{Name: row.Name}
		s.sums[row.Name] = sum
	}
	if sign > 0 {
		sum.OwnerID = row.OwnerID
	}
	sum.Count += sign * row.Count
	sum.Errors += sign * row.Errors
	if s.reaches(sum) {
		s.above[row.Name] = true
	} else {
		delete(s.above, row.Name)
	}
}

// hours compares hours with the same of past weeks.
type hours struct {
	rule *models.AlertRule
	used map[time.Time]map[string]*models.AlertSum
}

func newHours(r *models.AlertRule, rows []models.AlertSum) *hours {
	h := &hours{rule: r, used: map[time.Time]map[string]*models.AlertSum{}}
	for i := range rows {
		at := rows[i].At.UTC()
		if h.used[at] == nil {
			h.used[at] = map[string]*models.AlertSum{}
		}
		h.used[at][rows[i].Name] = &rows[i]
	}
	return h
}

func (h *hours) step() (step, offset time.Duration) { return time.Hour, 0 }

func (h *hours) at(t time.Time) []models.AlertCause {
	p := &h.rule.Params
	hour := t.Truncate(time.Hour).Add(-time.Hour)
	sums := map[string]*models.AlertSum{}
	for _, before := range pastHours(hour, p.Weeks) {
		for name, used := range h.used[before] {
			sum := sums[name]
			if sum == nil {
				sum = &models.AlertSum{Name: name, OwnerID: used.OwnerID}
				sums[name] = sum
			}
			sum.Past += used.Count
			sum.Weeks++
		}
	}
	var surges, slumps []models.AlertCause
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		sum := sums[name]
		if used := h.used[hour][name]; used != nil {
			sum.Count, sum.OwnerID = used.Count, used.OwnerID
		}
		switch {
		case sum.Count >= p.MinUnits && float64(sum.Count)*float64(sum.Weeks) >= p.Factor*float64(sum.Past):
			surges = append(surges, windowedCause(h.rule, sum))
		case p.Drop && sum.Past >= p.MinUnits*sum.Weeks && float64(sum.Count)*float64(sum.Weeks)*p.Factor <= float64(sum.Past):
			slumps = append(slumps, windowedCause(h.rule, sum))
		}
	}
	return append(surges, slumps...)
}

// quotas are quotas that were reached, and when.
type quotas struct{ reached []reachedQuota }

type reachedQuota struct {
	from  time.Time // the bucket in which it was
	end   time.Time // of the period
	cause func(t time.Time) models.AlertCause
}

func (q *quotas) step() (step, offset time.Duration) { return models.Bucket, lastMinute }

func (q *quotas) at(t time.Time) []models.AlertCause {
	var causes []models.AlertCause
	for i := range q.reached {
		if r := &q.reached[i]; !t.Before(r.from) && t.Before(r.end) {
			causes = append(causes, r.cause(t))
		}
	}
	return causes
}

// quotaHistory finds the quotas that were reached in periods of the range. How
// they were used in the course of their periods is not kept: it is taken to be
// like all usage of whom they count.
func (s *Service) quotaHistory(ctx context.Context, r *models.AlertRule, p *Preview) (past, error) {
	uses, err := s.Causes.QuotasDuring(ctx, r.Params.Hundredths(), r.Params.Quota, r.KeyID, p.From, p.To, maxPreviewSubjects+1)
	if err != nil {
		return nil, err
	}
	if len(uses) > maxPreviewSubjects {
		p.Truncated, uses = true, uses[:maxPreviewSubjects]
	}
	subjects, err := s.subjects(ctx, r, uses)
	if err != nil {
		return nil, err
	}
	used, err := s.usedByBucket(ctx, subjects, uses, p.To)
	if err != nil {
		return nil, err
	}
	history := &quotas{}
	for i := range uses {
		use, subject := uses[i], subjects[uses[i].Subject]
		if subject == nil {
			continue
		}
		period := models.CalendarAt(use.Period, subject.zone, subject.owner.AnchorDay, use.Start).Current
		if !period.Start.Equal(use.Start) || !period.End.After(p.From) {
			continue
		}
		course := courseOf(used[use.Subject], period.Start, period.End)
		q := reachedQuota{end: period.End}
		q.cause = func(t time.Time) models.AlertCause {
			then := use
			then.Used = course.at(t, use.Used)
			return quotaCause(r, &then, subject, period.End)
		}
		var ok bool
		if q.from, ok = course.reached(&use, r.Params.Hundredths()); ok {
			history.reached = append(history.reached, q)
		}
	}
	return history, nil
}

// usedByBucket gives what the subjects used, by the bucket.
func (s *Service) usedByBucket(ctx context.Context, subjects map[string]*quotaSubject, uses []models.QuotaUse, to time.Time) (map[string][]models.AlertSum, error) {
	ids := map[models.AlertPer][]string{}
	for _, subject := range slices.Sorted(maps.Keys(subjects)) {
		scope, id, _ := strings.Cut(subject, ":")
		ids[models.AlertPer(scope)] = append(ids[models.AlertPer(scope)], id)
	}
	from := to
	for i := range uses {
		if uses[i].Start.Before(from) {
			from = uses[i].Start
		}
	}
	used := map[string][]models.AlertSum{}
	for per, list := range ids {
		rows, err := s.Causes.UnitsByBucket(ctx, per, list, from, s.Now(), maxPreviewRows+1)
		if err := bounded(rows, err); err != nil {
			return nil, err
		}
		for _, row := range rows {
			subject := string(per) + ":" + row.Name
			used[subject] = append(used[subject], row)
		}
	}
	return used, nil
}

// course is how usage adds up in the course of a period.
type course struct {
	start time.Time
	rows  []models.AlertSum // Count is all until the end of the bucket
}

func courseOf(rows []models.AlertSum, start, end time.Time) *course {
	c := &course{start: start}
	var sum int64
	for _, row := range rows {
		if row.At.Before(start) || !row.At.Before(end) {
			continue
		}
		sum += row.Count
		row.Count = sum
		c.rows = append(c.rows, row)
	}
	return c
}

// at gives how much of what was used in the whole period was by the end of the
// bucket of t.
func (c *course) at(t time.Time, used int64) int64 {
	n, _ := slices.BinarySearchFunc(c.rows, t, func(row models.AlertSum, t time.Time) int {
		if row.At.After(t) {
			return 1
		}
		return -1
	})
	switch {
	case len(c.rows) == 0 || n == len(c.rows):
		return used
	case n == 0:
		return 0
	}
	return share(used, c.rows[n-1].Count, c.rows[len(c.rows)-1].Count)
}

// reached gives the bucket by whose end so many hundredths of a percent were used.
func (c *course) reached(use *models.QuotaUse, hundredths int64) (time.Time, bool) {
	if len(c.rows) == 0 {
		return c.start, use.Reaches(hundredths)
	}
	for i := range c.rows {
		then := *use
		if then.Used = c.at(c.rows[i].At, use.Used); then.Reaches(hundredths) {
			return c.rows[i].At, true
		}
	}
	return time.Time{}, false
}

// share gives used · part ÷ whole, for a part that is no more than the whole.
func share(used, part, whole int64) int64 {
	if part <= 0 || whole <= 0 || used <= 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(used), uint64(min(part, whole)))
	quotient, _ := bits.Div64(high, low, uint64(whole))
	return int64(quotient)
}
