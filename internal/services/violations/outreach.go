package violations

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

const (
	// outreachRows bounds the quotas of one transaction, and outreachRounds the
	// transactions of one run.
	outreachRows   = 100
	outreachRounds = 50
)

// longest bounds how long ago a period that goes on may have begun, in any zone.
var longest = map[models.PeriodKind]time.Duration{
	models.PeriodDay: 3 * 24 * time.Hour, models.PeriodMonth: 33 * 24 * time.Hour,
}

// Outreach is the job customer:outreach, of no subject: it tells owners of
// which percentage of a quota they have reached, each once in a period and of
// several at once the highest.
func (s *Service) Outreach(ctx context.Context, _ string) (again time.Duration, err error) {
	if !s.deps.Options.Outreach.Enabled {
		return 0, nil
	}
	for _, period := range []models.PeriodKind{models.PeriodDay, models.PeriodMonth} {
		more := true
		for round := 0; more && round < outreachRounds; round++ {
			if more, err = s.reach(ctx, period); err != nil {
				return 0, err
			}
		}
		if more {
			again = soon
		}
	}
	return again, nil
}

// reach tells the owners of a few quotas; more says that there may be others.
func (s *Service) reach(ctx context.Context, period models.PeriodKind) (more bool, err error) {
	now := s.deps.Now()
	rows, err := s.deps.Quotas.Near(ctx, period, now.Add(-longest[period]), now, s.deps.Options.Outreach.Percents, outreachRows)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	who, err := s.customers(ctx, rows)
	if err != nil {
		return false, err
	}
	err = s.deps.Transactions.InTx(ctx, func(ctx context.Context) error {
		var notices []models.Notice
		for i := range rows {
			q := &rows[i]
			percent := s.highest(q)
			// A period that has ended, or was another before the owner moved to
			// another zone, is marked as well: it is not looked at again.
			first, err := s.deps.Quotas.Tell(ctx, q.QuotaKey, percent)
			if err != nil {
				return err
			}
			c := who[q.Subject]
			if !first || c == nil {
				continue
			}
			if current := c.period(period, now); current.Start.Equal(q.Start) {
				notices = append(notices, c.notice(q, percent, current.End, now))
			}
		}
		return s.deps.Notices.Add(ctx, notices...)
	})
	return len(rows) == outreachRows, err
}

// highest gives the highest percentage that is reached.
func (s *Service) highest(q *models.QuotaTotal) (percent int) {
	for _, p := range s.deps.Options.Outreach.Percents {
		if q.Reached(p) {
			percent = max(percent, p)
		}
	}
	return percent
}

// customer is whose quota it is.
type customer struct {
	owner models.Owner
	zone  *time.Location
	key   *models.APIKey // of a quota of one key
}

// customers finds those of quotas, by subject. Whoever was erased or archived
// is left out.
func (s *Service) customers(ctx context.Context, rows []models.QuotaTotal) (map[string]*customer, error) {
	var keyIDs []models.KeyID
	for i := range rows {
		if id, ok := strings.CutPrefix(rows[i].Subject, "key:"); ok {
			keyIDs = append(keyIDs, models.KeyID(id))
		}
	}
	keys, err := s.deps.Keys.FindMany(ctx, keyIDs)
	if err != nil {
		return nil, err
	}
	owner := func(subject string) models.OwnerID {
		if id, ok := strings.CutPrefix(subject, "key:"); ok {
			return keys[models.KeyID(id)].OwnerID
		}
		return models.OwnerID(strings.TrimPrefix(subject, "owner:"))
	}
	var ownerIDs []models.OwnerID
	for i := range rows {
		if id := owner(rows[i].Subject); id != "" {
			ownerIDs = append(ownerIDs, id)
		}
	}
	owners, err := s.deps.Owners.FindMany(ctx, ownerIDs)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*customer, len(rows))
	for i := range rows {
		subject := rows[i].Subject
		o, ok := owners[owner(subject)]
		if !ok || o.Archived() {
			continue
		}
		zone, err := models.LoadZone(o.TimeZone)
		if err != nil {
			return nil, fmt.Errorf("time zone of owner %s: %w", o.ID, err)
		}
		c := &customer{owner: o, zone: zone}
		if id, ok := strings.CutPrefix(subject, "key:"); ok {
			key := keys[models.KeyID(id)]
			c.key = &key
		}
		found[subject] = c
	}
	return found, nil
}

// period gives the one that goes on at now.
func (c *customer) period(kind models.PeriodKind, now time.Time) (p struct{ Start, End time.Time }) {
	current := models.CalendarAt(kind, c.zone, c.owner.AnchorDay, now).Current
	p.Start, p.End = current.Start, current.End
	return p
}

// notice tells the customer that a percentage of a quota is reached.
func (c *customer) notice(q *models.QuotaTotal, percent int, end, now time.Time) models.Notice {
	used := int64(float64(q.Used()) / float64(q.Limit) * 100)
	event := models.Event{
		Type: models.EventOwnerQuota, At: now, Severity: models.SeverityWarning, OwnerID: c.owner.ID, Owner: c.owner.Ref(),
		Data: map[string]string{
			"rule": q.Rule, "used": strconv.FormatInt(q.Used(), 10), "limit": strconv.FormatInt(q.Limit, 10),
			"percent": strconv.FormatInt(used, 10), "threshold": strconv.Itoa(percent), "period": string(q.Period),
			"period_start": q.Start.UTC().Format(time.RFC3339), "resets_at": end.UTC().Format(time.RFC3339),
		},
	}
	adjective := map[models.PeriodKind]string{models.PeriodDay: "daily", models.PeriodMonth: "monthly"}[q.Period]
	whose := "Your account"
	if c.key != nil {
		event.KeyID = c.key.ID
		whose = fmt.Sprintf("The API key %q", c.key.Name)
	}
	spent := fmt.Sprintf("%s has used %d of the %d units of the quota %q. It begins anew at %s.",
		whose, q.Used(), q.Limit, q.Rule, end.In(c.zone).Format("15:04 on 2 January 2006 (MST)"))
	if event.Title = fmt.Sprintf("%d%% of your %s quota is used", used, adjective); used >= 100 {
		event.Title = fmt.Sprintf("Your %s quota is used up", adjective)
		event.Severity = models.SeverityCritical
		spent += " Until then further calls are refused or charged, as your plan says."
	}
	event.Text = spent
	return models.Notice{
		DedupKey: fmt.Sprintf("outreach:%s:%s:%s:%d", q.Subject, q.Rule, q.Start.UTC().Format(time.RFC3339), percent),
		Event:    event,
	}
}
