package notifications

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// NewDestination describes a destination to make. Empty fields take defaults:
// every event of every severity, 60 deliveries a minute, and a secret made here.
type NewDestination struct {
	Name          string
	Type          models.DestinationType
	URL           string
	Headers       map[string]string
	To            []string
	ToOwner       bool
	Events        []string
	MinSeverity   models.Severity
	RatePerMinute int
	Secret        string // of a webhook
}

// Create makes a destination. The secret of a webhook is returned this once.
func (s *Service) Create(ctx context.Context, n NewDestination) (d models.Destination, secret string, err error) {
	now := s.now()
	d = models.Destination{
		ID: models.NewID[models.DestinationID](), Name: n.Name, Type: n.Type, URL: n.URL, Headers: n.Headers,
		To: n.To, ToOwner: n.ToOwner, Events: n.Events, MinSeverity: n.MinSeverity, RatePerMinute: n.RatePerMinute,
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if d.MinSeverity == "" {
		d.MinSeverity = models.SeverityInfo
	}
	if d.RatePerMinute == 0 {
		d.RatePerMinute = models.DefaultRatePerMin
	}
	var v apierror.Validator
	switch {
	case d.Type != models.DestinationWebhook:
		v.Check(n.Secret == "", "secret", "must be absent: only webhooks are signed")
	case n.Secret == "":
		d.Secret = newSecret()
	default:
		v.Check(validSecret(n.Secret), "secret", secretRefused)
		d.Secret = n.Secret
	}
	v.Checkf(d.Type != models.DestinationEmail || s.EmailMissing == "", "type",
		"must be webhook or slack: no email can be sent while the setting %s is empty", s.EmailMissing)
	s.check(&v, &d)
	if err := v.Err(); err != nil {
		return models.Destination{}, "", err
	}
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		n, err := s.Destinations.Count(ctx)
		if err != nil {
			return err
		}
		if n >= models.MaxDestinations {
			return apierror.Newf(apierror.CodeConflict, "There are %d destinations, and no more can be made: delete one first", n)
		}
		if err := s.Destinations.Create(ctx, &d); err != nil {
			return err
		}
		return s.Changes.Record(ctx, record("destination.create", d.ID, nil, &d))
	})
	if err != nil {
		return models.Destination{}, "", fmt.Errorf("create destination: %w", err)
	}
	return d, d.Secret, nil
}

// Find gives a destination by id or name.
func (s *Service) Find(ctx context.Context, ref string) (models.Destination, error) {
	d, err := s.Destinations.Find(ctx, ref)
	if err != nil {
		return models.Destination{}, err
	}
	return *d, nil
}

// List gives a page of the destinations.
func (s *Service) List(ctx context.Context, page models.Page) ([]models.Destination, error) {
	return s.Destinations.List(ctx, page)
}

// Patch changes a destination; nil fields stay.
type Patch struct {
	Name          *string
	URL           *string
	Headers       *map[string]string
	To            *[]string
	ToOwner       *bool
	Events        *[]string
	MinSeverity   *models.Severity
	RatePerMinute *int
}

// Update changes a destination that is still at the version the caller saw, or
// at any where version is 0.
func (s *Service) Update(ctx context.Context, ref string, version int64, p Patch) (models.Destination, error) {
	return s.change(ctx, ref, version, "destination.update", func(_ context.Context, d *models.Destination) (bool, error) {
		models.Assign(&d.Name, p.Name)
		models.Assign(&d.URL, p.URL)
		models.Assign(&d.Headers, p.Headers)
		models.Assign(&d.To, p.To)
		models.Assign(&d.ToOwner, p.ToOwner)
		models.Assign(&d.Events, p.Events)
		models.Assign(&d.MinSeverity, p.MinSeverity)
		models.Assign(&d.RatePerMinute, p.RatePerMinute)
		var v apierror.Validator
		s.check(&v, d)
		return true, v.Err()
	})
}

// Enable tells a destination of things again, of what happens from now on.
func (s *Service) Enable(ctx context.Context, ref string) (models.Destination, error) {
	return s.change(ctx, ref, 0, "destination.enable", func(_ context.Context, d *models.Destination) (bool, error) {
		if !d.Disabled() {
			return false, nil
		}
		d.DisabledAt, d.DisabledReason, d.FailingSince = nil, "", nil
		return true, nil
	})
}

// Disable tells a destination of nothing any more, and gives up what waits for
// it.
func (s *Service) Disable(ctx context.Context, ref, reason string) (models.Destination, error) {
	var v apierror.Validator
	models.ValidateText(&v, "reason", reason, models.MaxReason)
	if err := v.Err(); err != nil {
		return models.Destination{}, err
	}
	return s.change(ctx, ref, 0, "destination.disable", func(ctx context.Context, d *models.Destination) (bool, error) {
		if d.Disabled() {
			return false, nil
		}
		now := s.now()
		// That it failed is no news to whoever decides this.
		d.DisabledAt, d.DisabledReason, d.FailingSince = &now, reason, nil
		_, err := s.Deliveries.CancelPending(ctx, d.ID, now)
		return true, err
	})
}

// Delete erases a destination and gives up what waits for it. What was sent
// there stays in the list of deliveries. One that alert rules name is not erased:
// nobody would be told of them.
func (s *Service) Delete(ctx context.Context, ref string) error {
	err := s.Changes.InTx(ctx, func(ctx context.Context) error {
		d, err := s.Destinations.Lock(ctx, ref)
		if err != nil {
			return err
		}
		rules, err := s.Destinations.RulesNaming(ctx, d.ID)
		if err != nil {
			return err
		}
		if len(rules) > 0 {
			return apierror.Newf(apierror.CodeConflict, "%d alert rules are told to the destination, %s among them: change them first", len(rules), rules[0])
		}
		if _, err := s.Deliveries.CancelPending(ctx, d.ID, s.now()); err != nil {
			return err
		}
		if err := s.Destinations.Delete(ctx, d.ID); err != nil {
			return err
		}
		return s.Changes.Record(ctx, record("destination.delete", d.ID, d, nil))
	})
	if err != nil {
		return fmt.Errorf("delete destination: %w", err)
	}
	return nil
}

// change applies fn to a locked destination and stores it, if fn changed it.
func (s *Service) change(ctx context.Context, ref string, version int64, action string,
	fn func(ctx context.Context, d *models.Destination) (changed bool, err error),
) (changed models.Destination, err error) {
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		d, err := s.Destinations.Lock(ctx, ref)
		if err != nil {
			return err
		}
		if err := models.CheckVersion(version, d.Version); err != nil {
			return err
		}
		before := *d
		different, err := fn(ctx, d)
		if changed = *d; err != nil || !different {
			return err
		}
		if err := s.Destinations.Update(ctx, d); err != nil {
			return err
		}
		changed = *d
		return s.Changes.Record(ctx, record(action, d.ID, &before, d))
	})
	if err != nil {
		return models.Destination{}, fmt.Errorf("%s: %w", action, err)
	}
	return changed, nil
}

// record makes the change for the audit log, in which there are no secrets.
func record(action string, id models.DestinationID, before, after *models.Destination) models.Change {
	c := models.Change{Action: action, ObjectKind: "destination", ObjectID: string(id)}
	if before != nil {
		c.Before = before.Audited()
	}
	if after != nil {
		c.After = after.Audited()
	}
	return c
}

// check validates a destination.
func (s *Service) check(v *apierror.Validator, d *models.Destination) {
	models.ValidateRef(v, "name", d.Name)
	v.Check(slices.Contains(models.Severities, d.MinSeverity), "min_severity", "must be info, warning or critical")
	v.Checkf(d.RatePerMinute >= 1 && d.RatePerMinute <= models.MaxRatePerMinute, "rate_per_minute", "must be from 1 to %d", models.MaxRatePerMinute)
	checkEvents(v, d.Events)
	switch d.Type {
	case models.DestinationWebhook, models.DestinationSlack:
		v.Check(d.URL != "", "url", "must be the URL that takes the notifications")
		v.Check(len(d.Headers) == 0 || d.Type == models.DestinationWebhook, "headers", "must be absent: only a webhook has headers of yours")
		v.Check(len(d.To) == 0, "to", "must be absent: only an email has addresses")
		v.Check(!d.ToOwner, "to_owner", "must be absent: only an email goes to owners")
	case models.DestinationEmail:
		v.Check(d.URL == "", "url", "must be absent from an email")
		v.Check(len(d.Headers) == 0, "headers", "must be absent from an email")
		v.Check(len(d.To) > 0 || d.ToOwner, "to", "must hold an address, or to_owner must be true")
		v.Check(len(d.To) == 0 || !d.ToOwner, "to", "must be absent where to_owner is true")
	default:
		v.Check(false, "type", "must be webhook, slack or email")
		return
	}
	v.Checkf(len(d.To) <= models.MaxRecipients, "to", "must hold at most %d addresses", models.MaxRecipients)
	if len(d.To) <= models.MaxRecipients {
		s.Checker.Check(v, d)
	}
}

func checkEvents(v *apierror.Validator, events []string) {
	known := map[string]bool{}
	for _, t := range models.EventTypes {
		if t != models.EventTest { // is sent when asked for, to whomever
			known[string(t)], known[t.Family()+".*"] = true, true
		}
	}
	v.Checkf(len(events) <= len(known), "events", "must hold at most %d elements", len(known))
	for i, wanted := range events[:min(len(events), len(known))] {
		if !known[wanted] {
			v.In("events", i).Checkf(false, "", "must be one of: %v", slices.Sorted(maps.Keys(known)))
		}
		if slices.Contains(events[:i], wanted) {
			v.In("events", i).Check(false, "", "must not be there twice")
		}
	}
}
