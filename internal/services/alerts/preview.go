package alerts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Bounds of previews.
const (
	MaxPreview         = 31 * 24 * time.Hour
	DefaultPreview     = 7 * 24 * time.Hour
	maxPreviewFirings  = 1000
	maxPreviewRows     = 300_000
	maxPreviewSubjects = 1000 // of quotas
)

// Firing is an alert that a rule would have made.
type Firing struct {
	Subject    string
	OwnerID    models.OwnerID
	KeyID      models.KeyID
	Quota      string
	At         time.Time
	Value      float64
	Threshold  float64
	Text       string
	ResolvedAt *time.Time
	Resolution models.Resolution
}

// Preview is what a rule would have done.
type Preview struct {
	From, To  time.Time
	Firings   []Firing // by time, then by subject
	Truncated bool     // there are more than are listed
	// Estimated tells that the times are estimates: how a quota was used in the
	// course of its period is told by all the usage of whom it counts.
	Estimated bool
}

// Preview tells what a rule would have done in [from, to], by default the past
// week, had it been made at from. Times are to the minute for violations, to the
// quarter of an hour for error rates and quotas, and to the hour for anomalies.
func (s *Service) Preview(ctx context.Context, n NewRule, from, to *time.Time) (*Preview, error) {
	if n.Name == "" {
		n.Name = "preview"
	}
	rule, err := s.rule(ctx, &n)
	if err != nil {
		return nil, below("rule", err)
	}
	if rule.Kind == models.AlertSystem {
		return nil, errNoPreview()
	}
	p, err := s.previewRange(from, to)
	if err != nil {
		return nil, err
	}
	past, err := s.history(ctx, rule, p)
	if err != nil {
		return nil, fmt.Errorf("preview alert rule: %w", err)
	}
	return p, simulate(ctx, rule, past, p)
}

func (s *Service) previewRange(from, to *time.Time) (*Preview, error) {
	now := s.Now()
	p := &Preview{To: now}
	models.Assign(&p.To, to)
	p.From = p.To.Add(-DefaultPreview)
	models.Assign(&p.From, from)
	p.From, p.To = p.From.UTC(), p.To.UTC()
	var v apierror.Validator
	v.Check(!p.To.After(now), "to", "must not be in the future")
	v.Check(p.From.Unix() >= 0 && p.From.Before(p.To) && p.To.Sub(p.From) <= MaxPreview, "from", "must be before to, by at most 31 days")
	return p, v.Err()
}

// past tells what a rule would have found.
type past interface {
	// step is how far the times lie apart at which something may change, and offset
	// how far they lie behind multiples of it.
	step() (step, offset time.Duration)
	// at gives the causes at a time, in a fixed order. Times ascend.
	at(t time.Time) []models.AlertCause
}

// simulate lets a rule live through the past.
func simulate(ctx context.Context, rule *models.AlertRule, history past, p *Preview) error {
	step, offset := history.step()
	var live []models.Alert
	firings := map[models.AlertID]*Firing{}
	nobody := func(*models.Alert) bool { return true }
	t := p.From.Truncate(step).Add(offset)
	if t.Before(p.From) {
		t = t.Add(step)
	}
	for done := false; !done; t = t.Add(step) {
		if !t.Before(p.To) {
			t, done = p.To, true // what has come so far of the last step
		}
		causes := history.at(t)
		for rest := len(causes) > 0 || len(live) > 0; rest; {
			if err := ctx.Err(); err != nil {
				return err
			}
			s := compare(rule, live, causes, t, nobody)
			rest = s.rest
			live = survivors(live, s, firings)
		}
		if len(firings) > maxPreviewFirings {
			p.Truncated = true
			break
		}
	}
	for _, f := range firings {
		p.Firings = append(p.Firings, *f)
	}
	slices.SortFunc(p.Firings, func(a, b Firing) int {
		if order := a.At.Compare(b.At); order != 0 {
			return order
		}
		return cmp.Compare(a.Subject+a.Quota, b.Subject+b.Quota)
	})
	p.Firings = p.Firings[:min(len(p.Firings), maxPreviewFirings)]
	return nil
}

// survivors notes what a step has done, and gives the alerts that are live after it.
func survivors(live []models.Alert, s *step, firings map[models.AlertID]*Firing) []models.Alert {
	note := func(a *models.Alert) {
		if a.FiredAt == nil {
			return
		}
		f := firings[a.ID]
		if f == nil {
			f = &Firing{
				Subject: a.Subject, Quota: a.Quota, At: *a.FiredAt, Value: a.Value, Threshold: a.Threshold, Text: a.Text,
			}
			models.Assign(&f.OwnerID, a.OwnerID)
			models.Assign(&f.KeyID, a.KeyID)
			firings[a.ID] = f
		}
		f.ResolvedAt, f.Resolution = a.ResolvedAt, a.Resolution
	}
	for _, a := range s.changed {
		note(a)
	}
	for i := range s.opened {
		note(&s.opened[i])
	}
	live = slices.DeleteFunc(live, func(a models.Alert) bool { return !a.Live || slices.Contains(s.forgotten, a.ID) })
	return append(live, s.opened...)
}

// below names the fields of an error as they are called within another field.
func below(field string, err error) error {
	known, ok := apierror.As(err)
	if !ok || len(known.Fields) == 0 {
		return err
	}
	fields := slices.Clone(known.Fields)
	for i := range fields {
		fields[i].Name = field + "." + fields[i].Name
	}
	return apierror.New(known.Code, known.Detail, fields...).Wrap(err)
}
