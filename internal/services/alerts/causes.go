package alerts

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// find gives the causes that a rule finds now, in a fixed order.
func (s *Service) find(ctx context.Context, r *models.AlertRule, now time.Time) ([]models.AlertCause, error) {
	p := &r.Params
	switch r.Kind {
	case models.AlertQuota:
		return s.findQuotas(ctx, r, now)
	case models.AlertViolations:
		last := now.UTC().Truncate(time.Minute)
		sums, err := s.Causes.Violations(ctx, p.Per, r.Filter(), p.Count, windowStart(p, last, time.Minute), last)
		return windowed(r, sums), err
	case models.AlertErrorRate:
		last := models.BucketOf(now)
		sums, err := s.Causes.Errors(ctx, p, r.Filter(), windowStart(p, last, models.Bucket), last)
		return windowed(r, sums), err
	case models.AlertAnomaly:
		hour := now.UTC().Truncate(time.Hour).Add(-time.Hour)
		sums, err := s.Causes.Surges(ctx, p, r.Filter(), hour, pastHours(hour, p.Weeks))
		if err != nil || !p.Drop {
			return windowed(r, sums), err
		}
		slumps, err := s.Causes.Slumps(ctx, p, r.Filter(), hour, pastHours(hour, p.Weeks))
		return windowed(r, append(sums, slumps...)), err
	case models.AlertSystem:
		return s.findSystem(ctx, r, now)
	}
	return nil, fmt.Errorf("there is no kind %q of alert rules", r.Kind)
}

// windowStart gives the first minute or bucket of the window that ends with last.
func windowStart(p *models.AlertParams, last time.Time, step time.Duration) time.Time {
	return last.Add(step - time.Duration(p.Window))
}

// pastHours gives the same hour of past weeks.
func pastHours(hour time.Time, weeks int) []time.Time {
	hours := make([]time.Time, weeks)
	for i := range hours {
		hours[i] = hour.AddDate(0, 0, -7*(i+1))
	}
	return hours
}

// windowed makes causes of what was added up.
func windowed(r *models.AlertRule, sums []models.AlertSum) []models.AlertCause {
	causes := make([]models.AlertCause, len(sums))
	for i := range sums {
		causes[i] = windowedCause(r, &sums[i])
	}
	return causes
}

func windowedCause(r *models.AlertRule, sum *models.AlertSum) models.AlertCause {
	p := &r.Params
	c := models.AlertCause{Subject: string(p.Per) + ":" + sum.Name, OwnerID: sum.OwnerID}
	if p.Per == models.AlertPerKey {
		c.KeyID = models.KeyID(sum.Name)
	}
	switch r.Kind {
	case models.AlertViolations:
		c.Value, c.Threshold = float64(sum.Count), float64(p.Count)
		c.Text = fmt.Sprintf("%d checks were refused within %s.", sum.Count, spell(time.Duration(p.Window)))
	case models.AlertErrorRate:
		c.Value, c.Threshold = percent(sum.Errors, sum.Count), p.Percent
		c.Text = fmt.Sprintf("%d of %d reported calls failed within %s.", sum.Errors, sum.Count, spell(time.Duration(p.Window)))
	case models.AlertAnomaly:
		mean := float64(sum.Past) / float64(sum.Weeks)
		c.Value, c.Threshold = float64(sum.Count), mean*p.Factor
		if c.Value < mean {
			c.Threshold = mean / p.Factor
		}
		c.Text = fmt.Sprintf("%d units were used in an hour that saw %.0f on average of the past %d weeks with usage.", sum.Count, mean, sum.Weeks)
	}
	return c
}

// percent gives a share to two decimals, cut and not rounded: what is below a
// threshold must not look as if it had reached it.
func percent(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(int64(float64(part)/float64(whole)*10_000)) / 100
}

// findQuotas gives the quotas that are used so far, in the periods of their owners
// that are under way.
func (s *Service) findQuotas(ctx context.Context, r *models.AlertRule, now time.Time) ([]models.AlertCause, error) {
	uses, err := s.Causes.Quotas(ctx, r.Params.Hundredths(), r.Params.Quota, r.KeyID, now)
	if err != nil {
		return nil, err
	}
	subjects, err := s.subjects(ctx, r, uses)
	if err != nil {
		return nil, err
	}
	causes := make([]models.AlertCause, 0, len(uses))
	for i := range uses {
		subject, ok := subjects[uses[i].Subject]
		if !ok {
			continue // erased, or not in the filter
		}
		period := models.CalendarAt(uses[i].Period, subject.zone, subject.owner.AnchorDay, now).Current
		if period.Start.Equal(uses[i].Start) {
			causes = append(causes, quotaCause(r, &uses[i], subject, period.End))
		}
	}
	return causes, nil
}

func quotaCause(r *models.AlertRule, use *models.QuotaUse, subject *quotaSubject, end time.Time) models.AlertCause {
	return models.AlertCause{
		Subject: use.Subject, OwnerID: subject.owner.ID, KeyID: subject.key,
		Quota: use.Rule, Period: use.Period, PeriodStart: use.Start.UTC(), PeriodEnd: end.UTC(),
		Value: percent(use.Used, use.Limit), Threshold: r.Params.Percent,
		Text: fmt.Sprintf("%d of the %d units of quota %s are used.", use.Used, use.Limit, use.Rule),
	}
}

// quotaSubject is whom a quota counts.
type quotaSubject struct {
	owner models.Owner
	key   models.KeyID // "" where it counts all keys of the owner
	zone  *time.Location
}

// lookup bounds the ids of one query.
const lookup = 1000

// subjects finds whom quotas count, by their subject. Those that the rule's
// filter leaves out, and those that are erased, are not among them.
func (s *Service) subjects(ctx context.Context, r *models.AlertRule, uses []models.QuotaUse) (map[string]*quotaSubject, error) {
	ownersOf := map[string]models.OwnerID{}
	keysOf := map[string]models.KeyID{}
	var keys []models.KeyID
	for i := range uses {
		subject := uses[i].Subject
		scope, id, _ := strings.Cut(subject, ":")
		switch models.Scope(scope) {
		case models.ScopeOwner:
			ownersOf[subject] = models.OwnerID(id)
		case models.ScopeKey:
			if _, known := keysOf[subject]; !known {
				keysOf[subject] = models.KeyID(id)
				keys = append(keys, models.KeyID(id))
			}
		}
	}
	for ; len(keys) > 0; keys = keys[min(lookup, len(keys)):] {
		found, err := s.Keys.FindMany(ctx, keys[:min(lookup, len(keys))])
		if err != nil {
			return nil, err
		}
		for id := range found {
			ownersOf[string(models.ScopeKey)+":"+string(id)] = found[id].OwnerID
		}
	}
	owners, err := s.owners(ctx, ownersOf)
	if err != nil {
		return nil, err
	}
	subjects := make(map[string]*quotaSubject, len(ownersOf))
	for subject, id := range ownersOf {
		owner, ok := owners[id]
		if !ok || r.OwnerID != nil && *r.OwnerID != id || r.PlanID != nil && *r.PlanID != owner.PlanID {
			continue
		}
		zone, err := models.LoadZone(owner.TimeZone)
		if err != nil {
			return nil, fmt.Errorf("time zone of owner %s: %w", id, err)
		}
		subjects[subject] = &quotaSubject{owner, keysOf[subject], zone}
	}
	return subjects, nil
}

// owners finds the owners that the map names.
func (s *Service) owners(ctx context.Context, named map[string]models.OwnerID) (map[models.OwnerID]models.Owner, error) {
	all := map[models.OwnerID]models.Owner{}
	seen := make(map[models.OwnerID]bool, len(named))
	var ids []models.OwnerID
	for _, id := range named {
		if id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	for ; len(ids) > 0; ids = ids[min(lookup, len(ids)):] {
		found, err := s.Owners.FindMany(ctx, ids[:min(lookup, len(ids))])
		if err != nil {
			return nil, err
		}
		for id := range found {
			all[id] = found[id]
		}
	}
	return all, nil
}

// findSystem gives what is wrong with the service itself.
func (s *Service) findSystem(ctx context.Context, r *models.AlertRule, now time.Time) ([]models.AlertCause, error) {
	var causes []models.AlertCause
	p := &r.Params
	count := func(subject, text string, n int64, err error) error {
		if err == nil && n > 0 {
			causes = append(causes, models.AlertCause{Subject: "system:" + subject, Value: float64(n), Threshold: 1, Text: fmt.Sprintf(text, n)})
		}
		return err
	}
	if p.FailedJobs {
		n, err := s.Causes.Jobs(ctx)
		if err := count("failed_jobs", "%d jobs failed for good and wait for an operator.", n, err); err != nil {
			return nil, err
		}
	}
	if p.IngestionLag > 0 {
		lag, err := s.lag(ctx, now)
		if err != nil {
			return nil, err
		}
		if lag >= time.Duration(p.IngestionLag) {
			causes = append(causes, models.AlertCause{
				Subject: "system:ingestion_lag", Value: lag.Seconds(), Threshold: time.Duration(p.IngestionLag).Seconds(),
				Text: fmt.Sprintf("Usage is brought in %s late: a process that answers checks may be out of reach.", spell(lag.Truncate(time.Second))),
			})
		}
	}
	if p.IngestLosses {
		n, err := s.Causes.Losses(ctx, now.Add(-time.Duration(p.Window)))
		if err := count("ingest_losses", "%d records of usage were lost or refused lately.", n, err); err != nil {
			return nil, err
		}
	}
	if p.DestinationsDisabled {
		n, err := s.Causes.Disabled(ctx)
		if err := count("destinations_disabled", "%d destinations of notifications are disabled because they failed.", n, err); err != nil {
			return nil, err
		}
	}
	return causes, nil
}

// lag tells how far what was used is behind. A stream of which nothing has come
// is as far behind as it is old.
func (s *Service) lag(ctx context.Context, now time.Time) (time.Duration, error) {
	streams, err := s.Streams.List(ctx)
	if err != nil {
		return 0, err
	}
	var longest time.Duration
	for i := range streams {
		until := streams[i].Watermark
		if streams[i].CreatedAt.After(until) {
			until = streams[i].CreatedAt
		}
		longest = max(longest, now.Sub(until))
	}
	return longest, nil
}

// spell writes a duration in its shortest form: "1h", where Go writes "1h0m0s".
func spell(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// errNoPreview is for rules of which there is no history.
func errNoPreview() error {
	return apierror.Invalid(apierror.Field{
		In: apierror.Body, Name: "rule.kind", Detail: "must not be system: how the service was is not recorded",
	})
}
