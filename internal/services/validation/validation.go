// Package validation answers the question the service exists for: may the
// holder of this key make this call now?
//
// Floor F2. It may import models and the packages of floor F0. It knows
// neither cache nor Redis: what it needs is in [Keys] and [Limits].
package validation

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Keys finds what is known of a presented key without asking the database each
// time. An unknown key is apierror.CodeNotFound; what it gives is shared and
// must not be changed.
type Keys interface {
	Directory(ctx context.Context, now time.Time) (*models.Directory, error)
	Snapshot(ctx context.Context, hash apikey.Hash, now time.Time) (*models.Snapshot, error)
}

// Limits takes from the counters, and tells whether it had to do without the
// store that all nodes share.
type Limits interface {
	Take(ctx context.Context, req *ratelimit.Request, dec *ratelimit.Decision) (degraded bool, err error)
}

// Service answers checks. It is safe for concurrent use.
type Service struct {
	keys   Keys
	limits Limits
	stated Limits
	now    func() time.Time
	takes  sync.Pool // of *take
}

// New makes the service. Checks of stated limits, whose identifiers the caller
// makes up, take from stated: what fills it leaves room for those of keys.
func New(keys Keys, limits, stated Limits, now func() time.Time) *Service {
	return &Service{
		keys: keys, limits: limits, stated: stated, now: now, takes: sync.Pool{New: func() any { return new(take) }},
	}
}

// take is the scratch space of one decision.
type take struct {
	request  ratelimit.Request
	decision ratelimit.Decision
	rules    []*models.CompiledRule // in the order of request.Rules
}

// Validate answers a check. A refusal is an answer; an error says that the
// check could not be decided.
func (s *Service) Validate(ctx context.Context, c *Check) (Answer, error) {
	if err := c.validate(); err != nil {
		return Answer{}, err
	}
	check := *c
	check.Method = strings.ToUpper(c.Method) // as those of rules and keys are kept
	return s.answer(ctx, &check)
}

func (s *Service) answer(ctx context.Context, c *Check) (Answer, error) {
	now := s.now()
	a := Answer{RequestID: c.RequestID, At: now, Tightest: -1}
	directory, err := s.keys.Directory(ctx, now)
	if err != nil {
		return Answer{}, fmt.Errorf("validate: %w", err)
	}
	if !directory.Plausible(c.APIKey) {
		a.Code = KeyMalformed
		return a, nil
	}
	snapshot, err := s.keys.Snapshot(ctx, apikey.Sum(c.APIKey), now)
	switch {
	case errors.Is(err, apierror.CodeNotFound):
		a.Code = KeyUnknown
		return a, nil
	case err != nil:
		return Answer{}, fmt.Errorf("validate: %w", err)
	case c.Keyspace != "" && c.Keyspace != snapshot.Keyspace.Name && c.Keyspace != string(snapshot.Keyspace.ID):
		a.Code = KeyUnknown
		return a, nil
	}
	a.Snapshot = snapshot
	if a.Code = refusal(snapshot, c, now); a.Code != OK {
		return a, nil
	}
	t := s.takes.Get().(*take)
	defer s.release(t)
	t.match(snapshot, c, now)
	if err := t.decide(ctx, s.limits, &a); err != nil {
		return Answer{}, fmt.Errorf("validate: %w", err)
	}
	return a, nil
}

// refusal tells why a key may not make the call at all; that costs nothing.
func refusal(s *models.Snapshot, c *Check, now time.Time) Code {
	switch s.Status(now) {
	case models.KeyRevoked:
		return KeyRevoked
	case models.KeyExpired:
		return KeyExpired
	case models.KeySuspended:
		return KeySuspended
	}
	if !s.AllowsIP(c.IP) {
		return IPDenied
	}
	for _, permission := range c.Permissions {
		if !slices.Contains(s.Key.Permissions, permission) {
			return PermissionDenied
		}
	}
	if !s.AllowsEndpoint(c.Method, c.Endpoint) {
		return EndpointDenied
	}
	return OK
}

// match gathers the limits that the call is subject to.
func (t *take) match(s *models.Snapshot, c *Check, now time.Time) {
	t.request.Group, t.request.Cost = string(s.Owner.ID), c.Cost
	if c.CheckID != "" {
		t.request.ID, t.request.Fingerprint = string(s.Key.ID)+":"+c.CheckID, c.fingerprint()
	}
	compiled := s.Rules()
	for i := range compiled {
		if r := &compiled[i]; r.Matches(c.Method, c.Endpoint) {
			t.add(r, now)
		}
	}
}

func (t *take) add(r *models.CompiledRule, now time.Time) {
	t.rules = append(t.rules, r)
	t.request.Rules = append(t.request.Rules, r.LimitAt(now))
}

func (s *Service) release(t *take) {
	clear(t.rules)
	clear(t.request.Rules)
	t.rules = t.rules[:0]
	t.request = ratelimit.Request{Rules: t.request.Rules[:0]}
	s.takes.Put(t)
}

// noStoreWait is the RetryAfter of a refusal for want of a limit store: nobody
// knows how long that lasts.
const noStoreWait = time.Second

// decide takes from all limits or none, and writes what came of it.
func (t *take) decide(ctx context.Context, limits Limits, a *Answer) error {
	if len(t.rules) == 0 && t.request.ID == "" {
		a.Allowed, a.Code = true, OK
		return nil
	}
	degraded, err := limits.Take(ctx, &t.request, &t.decision)
	if errors.Is(err, ratelimit.ErrIDConflict) {
		return apierror.New(apierror.CodeCheckIDConflict, "The check_id was used for another check within the last minute",
			apierror.Field{In: apierror.Body, Name: "check_id", Detail: "must be new, or come with the same content"}).Wrap(err)
	}
	if errors.Is(err, ratelimit.ErrFull) {
		return apierror.New(apierror.CodeStoreUnavailable, "The limit store has no room for another counter").Wrap(err)
	}
	if err != nil {
		return err
	}
	d := &t.decision
	a.Allowed, a.Degraded, a.Replayed, a.RetryAfter = d.Allowed, degraded, d.Replayed, d.RetryAfter()
	if !d.At.IsZero() {
		a.At = d.At
	}
	if !d.Allowed && len(d.Results) == 0 {
		a.RetryAfter = noStoreWait
	}
	a.Limits = make([]Limit, 0, len(d.Results))
	tightest := d.Tightest()
	for i := range d.Results {
		result := &d.Results[i]
		rule := t.rule(i, result.Rule.Name)
		if rule == nil {
			continue // replayed, and the rule is gone since
		}
		if result == tightest {
			a.Tightest = len(a.Limits)
		}
		a.Limits = append(a.Limits, limitOf(rule, result))
	}
	a.Code = a.code()
	return nil
}

// rule finds the rule a result is about: the one at its place, unless the
// decision is an older one that was made by other rules.
func (t *take) rule(i int, name string) *models.CompiledRule {
	if i < len(t.rules) && t.rules[i].Name == name {
		return t.rules[i]
	}
	for _, r := range t.rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}

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
	now := s.now()
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
	if err := t.decide(ctx, s.stated, &a); err != nil {
		return Answer{}, fmt.Errorf("check limit: %w", err)
	}
	return a, nil
}

// Check asks whether the holder of a key may make a call.
type Check struct {
	RequestID   string
	APIKey      string
	CheckID     string // optional: the same id within a minute gets the same answer and spends once
	Keyspace    string // optional: id or name the key must be of
	Cost        int64  // units; 0 looks without spending
	Method      string
	Endpoint    string
	IP          netip.Addr
	Permissions []string // all of which the key must have
}
