package alerts

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Acknowledge says that somebody is at an alert: it is not told again.
func (s *Service) Acknowledge(ctx context.Context, id models.AlertID, note string) (*models.Alert, error) {
	return s.act(ctx, id, "alert.acknowledge", note, func(a *models.Alert, by string, now time.Time) error {
		return a.Acknowledge(by, note, now)
	})
}

// Resolve ends an alert. While its cause lasts it is not opened anew, but when
// that has gone and comes back.
func (s *Service) Resolve(ctx context.Context, id models.AlertID, note string) (*models.Alert, error) {
	return s.act(ctx, id, "alert.resolve", note, func(a *models.Alert, by string, now time.Time) error {
		return a.Resolve(by, note, now)
	})
}

// Suppress keeps an alert from being told until an instant.
func (s *Service) Suppress(ctx context.Context, id models.AlertID, until time.Time, note string) (*models.Alert, error) {
	return s.act(ctx, id, "alert.suppress", note, func(a *models.Alert, by string, now time.Time) error {
		return a.Suppress(until, by, note, now)
	})
}

// act does something to a locked alert; apierror.CodeConflict where its state
// does not allow that.
func (s *Service) act(ctx context.Context, id models.AlertID, action, note string,
	do func(a *models.Alert, by string, now time.Time) error,
) (after *models.Alert, err error) {
	var v apierror.Validator
	models.ValidateText(&v, "note", note, models.MaxDescription)
	if err := v.Err(); err != nil {
		return nil, err
	}
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		found, err := s.Alerts.Find(ctx, id)
		if err != nil {
			return err
		}
		// In the order that checks lock in. A rule that is gone has no open alerts.
		rules, err := s.Rules.FindMany(ctx, []models.AlertRuleID{found.RuleID})
		if err != nil {
			return err
		}
		rule, exists := rules[found.RuleID]
		if exists {
			locked, err := s.Rules.Lock(ctx, string(found.RuleID))
			if err != nil {
				return err
			}
			rule = *locked
		}
		a, err := s.Alerts.Lock(ctx, id)
		if err != nil {
			return err
		}
		before := *a
		if err := do(a, models.ActorFrom(ctx).Name, s.Now()); err != nil {
			return err
		}
		if err := s.Alerts.Update(ctx, a); err != nil {
			return err
		}
		if a.State == models.AlertResolved && a.WasTold() {
			told := telling{alert: a, event: models.EventAlertResolved}
			if err := s.tell(ctx, &rule, []telling{told}, s.Now()); err != nil {
				return err
			}
		}
		after = a
		return s.Changes.Record(ctx, models.Change{
			Action: action, ObjectKind: "alert", ObjectID: string(a.ID), Before: before, After: *a,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	return after, nil
}
