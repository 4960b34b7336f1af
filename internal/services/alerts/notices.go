package alerts

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// tell writes notices of what a step has to tell.
func (s *Service) tell(ctx context.Context, rule *models.AlertRule, tellings []telling, now time.Time) error {
	if len(tellings) == 0 {
		return nil
	}
	named := map[string]models.OwnerID{}
	for _, t := range tellings {
		if t.alert.OwnerID != nil {
			named[t.alert.Subject] = *t.alert.OwnerID
		}
	}
	owners, err := s.owners(ctx, named)
	if err != nil {
		return err
	}
	notices := make([]models.Notice, len(tellings))
	for i, t := range tellings {
		a := t.alert
		event := models.Event{Type: t.event, At: now, Severity: a.Severity, Text: a.Text, Data: dataOf(a)}
		if a.OwnerID != nil {
			event.OwnerID = *a.OwnerID
			if owner, ok := owners[*a.OwnerID]; ok {
				event.Owner = owner.Ref()
			}
		}
		if a.KeyID != nil {
			event.KeyID = *a.KeyID
		}
		event.Title = titleOf(a, t.event, event.Owner)
		notices[i] = models.Notice{
			DedupKey: strings.Join([]string{"alert", string(a.ID), string(t.event), strconv.Itoa(t.number)}, ":"),
			Event:    event, Destinations: rule.Destinations,
		}
	}
	return s.Notices.Add(ctx, notices...)
}

// tellMore tells of the rest of a burst as one.
func (s *Service) tellMore(ctx context.Context, rule *models.AlertRule, more int64, now time.Time) error {
	return s.Notices.Add(ctx, models.Notice{
		DedupKey: fmt.Sprintf("alert_rule:%s:burst:%d", rule.ID, rule.Bursts),
		Event: models.Event{
			Type: models.EventAlertActive, At: now, Severity: rule.Severity,
			Title: fmt.Sprintf("%s: %d more alerts", rule.Name, more),
			Text:  fmt.Sprintf("The rule found more causes at once than are told one by one. %d more alerts are open or about to be.", more),
			Data:  map[string]string{"rule": rule.Name, "rule_id": string(rule.ID), "kind": string(rule.Kind), "more": strconv.FormatInt(more, 10)},
		},
		Destinations: rule.Destinations,
	})
}

// titleOf says in one line what is up with an alert.
func titleOf(a *models.Alert, event models.EventType, owner string) string {
	whom := strings.Replace(a.Subject, ":", " ", 1)
	if owner != "" {
		whom = "owner " + owner
		if a.KeyID != nil {
			whom = fmt.Sprintf("key %s of owner %s", *a.KeyID, owner)
		}
	}
	if a.Quota != "" {
		whom += ", quota " + a.Quota
	}
	value := number(a.Value)
	if a.Kind == models.AlertQuota || a.Kind == models.AlertErrorRate {
		value += " %"
	}
	switch event {
	case models.EventAlertResolved:
		return fmt.Sprintf("Resolved: %s: %s", a.RuleName, whom)
	case models.EventAlertRepeated:
		return fmt.Sprintf("Still: %s: %s at %s", a.RuleName, whom, value)
	default:
		return fmt.Sprintf("%s: %s at %s", a.RuleName, whom, value)
	}
}

func dataOf(a *models.Alert) map[string]string {
	data := map[string]string{
		"alert_id": string(a.ID), "rule": a.RuleName, "rule_id": string(a.RuleID), "kind": string(a.Kind),
		"subject": a.Subject, "value": number(a.Value), "threshold": number(a.Threshold), "state": string(a.State),
	}
	if a.Quota != "" {
		data["quota"] = a.Quota
		data["period_start"] = a.PeriodStart.UTC().Format(time.RFC3339)
	}
	if a.Resolution != "" {
		data["resolution"] = string(a.Resolution)
	}
	return data
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
