package validation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// LimitCheck asks whether an identifier that is no key may spend from limits
// the caller states.
type LimitCheck struct {
	RequestID  string
	Namespace  string // keeps one use of limits apart from another
	Identifier string // whom the limits count: a user, an address
	CheckID    string
	Cost       int64
	Rules      []models.Rule // scopes are ignored; periods are in UTC
}

// scopeIdentifier is the scope of stated limits.
const scopeIdentifier models.Scope = "identifier"

// CheckLimit answers a check of stated limits.
func (s *Service) CheckLimit(ctx context.Context, stated *LimitCheck) (Answer, error) {
	c := *stated
	c.Rules = slices.Clone(c.Rules)
	for i := range c.Rules {
		c.Rules[i].Scope = scopeIdentifier
	}
	models.NormalizeRules(c.Rules, scopeIdentifier)
	if err := c.validate(); err != nil {
		return Answer{}, err
	}
	now := s.Now()
	a := Answer{RequestID: c.RequestID, At: now, Tightest: -1}
	t := s.takes.Get().(*take)
	defer s.release(t)
	t.request.Group, t.request.Cost = c.group(), c.Cost
	if c.CheckID != "" {
		t.request.ID, t.request.Fingerprint = c.CheckID, c.fingerprint()
	}
	compiled := make([]models.CompiledRule, len(c.Rules))
	for i, r := range c.Rules {
		compiled[i].Compile(r, c.Identifier, time.UTC, 1)
		t.add(&compiled[i], now)
	}
	if err := t.decide(ctx, s.Stated, nil, &a); err != nil {
		return Answer{}, fmt.Errorf("check limit: %w", err)
	}
	if s.Recorder != nil {
		t.record.Kind, t.record.RequestID, t.record.At, t.record.Allowed = models.RecordLimitCheck, a.RequestID, a.At, a.Allowed
		if err := s.Recorder.Record(nil, &t.record); err != nil {
			return Answer{}, fmt.Errorf("check limit: %w", err)
		}
	}
	if s.Observer != nil {
		s.Observer.LimitChecked(a.Allowed)
	}
	return a, nil
}
