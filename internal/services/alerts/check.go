package alerts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// passChanges bounds the alerts that one transaction opens, and those that it
// changes: a rule with a burst of causes takes several.
const passChanges = 1000

// passesPerCheck bounds the transactions of one check of a rule. What is left then
// is for the next, soon.
const (
	passesPerCheck = 5
	soon           = time.Second
)

// Check compares what every enabled rule finds with its alerts: it opens those of
// new causes, resolves those whose causes are gone, and tells of both. It is the
// handler of [models.JobAlertCheck]; its subject is "". Running it often, or at
// once in many processes, tells nothing twice. It says after how long it is to run
// again where it has not come to an end, else zero. A rule that fails does not
// keep others from being checked.
func (s *Service) Check(ctx context.Context, _ string) (again time.Duration, err error) {
	rules, err := s.Rules.Enabled(ctx)
	if err != nil {
		return 0, fmt.Errorf("check alerts: %w", err)
	}
	var failures []error
	for _, id := range rules {
		rest, err := s.checkRuleFully(ctx, id)
		if err != nil {
			failures = append(failures, fmt.Errorf("check alert rule %s: %w", id, err))
		}
		if rest {
			again = soon
		}
	}
	return again, errors.Join(failures...)
}

func (s *Service) checkRuleFully(ctx context.Context, id models.AlertRuleID) (rest bool, err error) {
	for range passesPerCheck {
		if rest, err = s.pass(ctx, id); err != nil || !rest {
			return false, err
		}
	}
	return true, nil
}

// pass compares a rule with its alerts once, in a transaction that has the rule
// to itself. Rest tells that it has left something to another pass.
func (s *Service) pass(ctx context.Context, id models.AlertRuleID) (rest bool, err error) {
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		rest = false
		rule, err := s.Rules.Lock(ctx, string(id))
		if errors.Is(err, apierror.CodeNotFound) {
			return nil // deleted since
		}
		if err != nil || !rule.Enabled {
			return err
		}
		now := s.Now()
		if rule.Rests(now) {
			return nil
		}
		causes, err := s.find(ctx, rule, now)
		if err != nil {
			return err
		}
		live, err := s.Alerts.Live(ctx, rule.ID)
		if err != nil {
			return err
		}
		windows, err := s.Windows.Open(ctx, now)
		if err != nil {
			return err
		}
		quiet := func(a *models.Alert) bool {
			for i := range windows {
				if windows[i].Covers(a, now) {
					return true
				}
			}
			return false
		}
		step := compare(rule, live, causes, now, quiet)
		rest = step.rest
		return s.apply(ctx, rule, step, now)
	})
	return rest, err
}

// apply stores what a step has found, and tells of it.
func (s *Service) apply(ctx context.Context, rule *models.AlertRule, step *step, now time.Time) error {
	if err := s.Alerts.Create(ctx, step.opened); err != nil {
		return err
	}
	for _, a := range step.changed {
		if err := s.Alerts.Update(ctx, a); err != nil {
			return err
		}
	}
	if err := s.Alerts.Forget(ctx, step.forgotten); err != nil {
		return err
	}
	if slow := rule.Kind == models.AlertAnomaly; step.burst || slow {
		if slow && !step.rest {
			rule.CheckedAt = &now
		}
		if err := s.Rules.SetProgress(ctx, rule); err != nil {
			return err
		}
	}
	if err := s.tell(ctx, rule, step.tellings, now); err != nil {
		return err
	}
	if step.more == 0 {
		return nil
	}
	return s.tellMore(ctx, rule, step.more, now)
}

// telling is one thing to be told of an alert.
type telling struct {
	alert  *models.Alert
	event  models.EventType
	number int // tells it from the same event told before
}
