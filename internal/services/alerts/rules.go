package alerts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// NewRule describes a rule. Nil waits take the defaults of its kind.
type NewRule struct {
	Name         string
	Kind         models.AlertKind
	Severity     models.Severity // warning where empty
	Enabled      bool
	Params       models.AlertParams
	Owner        string // id or external id
	Key          string // id
	Plan         string // id or name
	For          time.Duration
	ResolveAfter *time.Duration
	RepeatEvery  *time.Duration
	Destinations []models.DestinationID
}

// rule makes the rule that is described, and checks it.
func (s *Service) rule(ctx context.Context, n *NewRule) (*models.AlertRule, error) {
	now := s.Now()
	resolveAfter, repeatEvery := n.Kind.Waits()
	models.Assign(&resolveAfter, n.ResolveAfter)
	models.Assign(&repeatEvery, n.RepeatEvery)
	if n.Severity == "" {
		n.Severity = models.SeverityWarning
	}
	r := &models.AlertRule{
		ID: models.NewID[models.AlertRuleID](), Name: n.Name, Kind: n.Kind, Severity: n.Severity, Enabled: n.Enabled, Params: n.Params,
		For: models.Span(n.For), ResolveAfter: models.Span(resolveAfter), RepeatEvery: models.Span(repeatEvery),
		Destinations: n.Destinations, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if err := s.filter(ctx, r, &n.Owner, &n.Key, &n.Plan); err != nil {
		return nil, err
	}
	return r, s.checkRule(ctx, r)
}

// CreateRule makes a rule.
func (s *Service) CreateRule(ctx context.Context, n NewRule) (*models.AlertRule, error) {
	var made *models.AlertRule
	err := s.Changes.InTx(ctx, func(ctx context.Context) error {
		rule, err := s.rule(ctx, &n)
		if err != nil {
			return err
		}
		if err := s.Rules.Create(ctx, rule); err != nil {
			return err
		}
		made = rule
		return s.Changes.Record(ctx, models.Change{
			Action: "alert_rule.create", ObjectKind: "alert_rule", ObjectID: string(rule.ID), After: *rule,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("create alert rule: %w", err)
	}
	return made, nil
}

// FindRule gives a rule by id or name.
func (s *Service) FindRule(ctx context.Context, ref string) (*models.AlertRule, error) {
	return s.Rules.Find(ctx, ref)
}

// ListRules gives a page of the rules.
func (s *Service) ListRules(ctx context.Context, page models.Page) ([]models.AlertRule, error) {
	return s.Rules.List(ctx, page)
}

// RulePatch changes a rule; nil fields stay. A pointer to "" clears a filter.
type RulePatch struct {
	Name         *string
	Severity     *models.Severity
	Enabled      *bool
	Params       *models.AlertParams // all of them
	Owner        *string
	Key          *string
	Plan         *string
	For          *time.Duration
	ResolveAfter *time.Duration
	RepeatEvery  *time.Duration
	Destinations *[]models.DestinationID
}

// UpdateRule changes a rule that is still at the version the caller saw. One
// that is disabled has its alerts resolved.
func (s *Service) UpdateRule(ctx context.Context, ref string, version int64, p RulePatch) (*models.AlertRule, error) {
	return s.changeRule(ctx, ref, version, "alert_rule.update", func(ctx context.Context, r *models.AlertRule) error {
		models.Assign(&r.Name, p.Name)
		models.Assign(&r.Severity, p.Severity)
		models.Assign(&r.Enabled, p.Enabled)
		models.Assign(&r.Params, p.Params)
		models.Assign(&r.For, (*models.Span)(p.For))
		models.Assign(&r.ResolveAfter, (*models.Span)(p.ResolveAfter))
		models.Assign(&r.RepeatEvery, (*models.Span)(p.RepeatEvery))
		models.Assign(&r.Destinations, p.Destinations)
		if err := s.filter(ctx, r, p.Owner, p.Key, p.Plan); err != nil {
			return err
		}
		if err := s.checkRule(ctx, r); err != nil {
			return err
		}
		r.CheckedAt = nil
		if !r.Enabled {
			r.Rest = 0
			if err := s.removeAlerts(ctx, r); err != nil {
				return err
			}
		}
		return s.Rules.Update(ctx, r)
	})
}

// DeleteRule erases a rule, and resolves its alerts.
func (s *Service) DeleteRule(ctx context.Context, ref string) error {
	err := s.Changes.InTx(ctx, func(ctx context.Context) error {
		r, err := s.Rules.Lock(ctx, ref)
		if err != nil {
			return err
		}
		if err := s.removeAlerts(ctx, r); err != nil {
			return err
		}
		if err := s.Rules.Delete(ctx, r.ID); err != nil {
			return err
		}
		return s.Changes.Record(ctx, models.Change{
			Action: "alert_rule.delete", ObjectKind: "alert_rule", ObjectID: string(r.ID), Before: *r,
		})
	})
	if err != nil {
		return fmt.Errorf("delete alert rule: %w", err)
	}
	return nil
}

// changeRule applies fn, which stores it, to a locked rule.
func (s *Service) changeRule(ctx context.Context, ref string, version int64, action string,
	fn func(ctx context.Context, r *models.AlertRule) error,
) (after *models.AlertRule, err error) {
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		r, err := s.Rules.Lock(ctx, ref)
		if err != nil {
			return err
		}
		if err := models.CheckVersion(version, r.Version); err != nil {
			return err
		}
		before := *r
		if err := fn(ctx, r); err != nil {
			return err
		}
		after = r
		return s.Changes.Record(ctx, models.Change{
			Action: action, ObjectKind: "alert_rule", ObjectID: string(r.ID), Before: before, After: *r,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	return after, nil
}

// removeAlerts resolves the alerts of a rule that is going, and tells nobody.
func (s *Service) removeAlerts(ctx context.Context, r *models.AlertRule) error {
	live, err := s.Alerts.Live(ctx, r.ID)
	if err != nil {
		return err
	}
	now := s.Now()
	var forget []models.AlertID
	for i := range live {
		if live[i].State == models.AlertPending {
			forget = append(forget, live[i].ID)
			continue
		}
		live[i].Remove(now)
		if err := s.Alerts.Update(ctx, &live[i]); err != nil {
			return err
		}
	}
	return s.Alerts.Forget(ctx, forget)
}

// filter sets the filters that are given; "" clears one.
func (s *Service) filter(ctx context.Context, r *models.AlertRule, owner, key, plan *string) error {
	if owner != nil {
		r.OwnerID = nil
		if *owner != "" {
			found, err := s.Owners.Find(ctx, *owner)
			if err != nil {
				return models.MissingRef(err, apierror.Body, "owner", "owner")
			}
			r.OwnerID = &found.ID
		}
	}
	if key != nil {
		r.KeyID = nil
		if *key != "" {
			found, err := s.Keys.Find(ctx, models.KeyID(*key))
			if err != nil {
				return models.MissingRef(err, apierror.Body, "key", "key")
			}
			r.KeyID = &found.ID
		}
	}
	if plan != nil {
		r.PlanID = nil
		if *plan != "" {
			found, err := s.Plans.Find(ctx, *plan)
			if err != nil {
				return models.MissingRef(err, apierror.Body, "plan", "plan")
			}
			r.PlanID = &found.ID
		}
	}
	return nil
}

// checkRule fills what was left out of a rule, and names all that is wrong.
func (s *Service) checkRule(ctx context.Context, r *models.AlertRule) error {
	r.Normalize()
	var v apierror.Validator
	r.Validate(&v)
	for i, id := range r.Destinations[:min(len(r.Destinations), models.MaxAlertDestinations)] {
		at := v.In("destinations", i)
		parsed, err := models.ParseID[models.DestinationID](string(id))
		at.Check(err == nil, "", "must be the id of a destination")
		if err == nil {
			r.Destinations[i] = parsed
		}
		at.Check(!slices.Contains(r.Destinations[:i], id), "", "must not be there twice")
	}
	if err := v.Err(); err != nil {
		return err
	}
	missing, err := s.Causes.Missing(ctx, r.Destinations)
	if err != nil {
		return err
	}
	for i, id := range r.Destinations {
		v.In("destinations", i).Check(!slices.Contains(missing, id), "", "must be the id of a destination")
	}
	return v.Err()
}
