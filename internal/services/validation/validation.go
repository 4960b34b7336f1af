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

// Recorder keeps records so that they survive this process; the snapshot is
// nil where a record is about no key. When Record returns nil, the answer may
// leave. It keeps nothing of r.
type Recorder interface {
	Record(s *models.Snapshot, r *models.Record) error
	// Batch gives a recorder for one goroutine, whose records are kept together
	// at its end.
	Batch() BatchRecorder
}

// Observer is told of what was decided. Every check waits for it: it must return
// at once, and allocate nothing.
type Observer interface {
	// Checked is told when the decision began, by the clock of the service.
	Checked(code Code, degraded bool, began time.Time)
	// LimitChecked is told of a check of stated limits.
	LimitChecked(allowed bool)
}

// Deps is what the service is made of. Without Recorder nothing is metered, and
// without Receipts nothing can be settled.
type Deps struct {
	Keys   Keys
	Limits Limits
	// Stated takes the checks of stated limits, whose identifiers the caller
	// makes up: what fills it leaves room for those of keys.
	Stated   Limits
	Recorder Recorder
	// Quotas rebuilds the counters of quotas; without it they begin at zero
	// wherever the limit store has lost them.
	Quotas   *Quotas
	Receipts Receipts // of checks that may be settled
	Observer Observer // nil tells nobody
	// Together is how many checks of a batch are decided at a time: where the limits
	// are across a network, they share round trips. Up to 1 it is one after the other.
	Together int
	Now      func() time.Time
}

// Service answers checks. It is safe for concurrent use.
type Service struct {
	Deps
	takes sync.Pool // of *take
}

// New makes the service.
func New(deps Deps) *Service {
	return &Service{Deps: deps, takes: sync.Pool{New: func() any { return new(take) }}}
}

// take is the scratch space of one check.
type take struct {
	request  ratelimit.Request
	decision ratelimit.Decision
	rules    []*models.CompiledRule // in the order of request.Rules
	record   models.Record
}

// Validate answers a check. A refusal is an answer; an error says that the
// check could not be decided.
func (s *Service) Validate(ctx context.Context, c *Check) (Answer, error) {
	if s.Recorder == nil {
		return s.validate(ctx, c, nil)
	}
	return s.validate(ctx, c, s.Recorder)
}

// records keeps records: a [Recorder], or one of a batch.
type records interface {
	Record(s *models.Snapshot, r *models.Record) error
}

func (s *Service) validate(ctx context.Context, c *Check, to records) (Answer, error) {
	if err := c.validate(); err != nil {
		return Answer{}, err
	}
	check := *c
	check.Method = strings.ToUpper(c.Method) // as those of rules and keys are kept
	began := s.Now()
	a, err := s.answer(ctx, &check, to, began)
	if err == nil && s.Observer != nil {
		s.Observer.Checked(a.Code, a.Degraded, began)
	}
	return a, err
}

func (s *Service) answer(ctx context.Context, c *Check, to records, now time.Time) (Answer, error) {
	a := Answer{RequestID: c.RequestID, At: now, Tightest: -1}
	directory, err := s.Keys.Directory(ctx, now)
	if err != nil {
		return Answer{}, fmt.Errorf("validate: %w", err)
	}
	if !directory.Plausible(c.APIKey) {
		a.Code = KeyMalformed
		return a, nil
	}
	snapshot, err := s.Keys.Snapshot(ctx, apikey.Sum(c.APIKey), now)
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
	t := s.takes.Get().(*take)
	defer s.release(t)
	if a.Code = refusal(snapshot, c, now); a.Code == OK {
		t.match(snapshot, c, now, s.Quotas != nil)
		if err := t.decide(ctx, s.Limits, s.Quotas, &a); err != nil {
			return Answer{}, fmt.Errorf("validate: %w", err)
		}
	}
	if to != nil {
		t.describe(c, &a)
		if c.Settle && a.Allowed && c.Cost > 0 && s.Receipts != nil {
			s.keepReceipt(ctx, t, &a)
		}
		if err := to.Record(snapshot, &t.record); err != nil {
			return Answer{}, fmt.Errorf("validate: %w", err)
		}
	}
	return a, nil
}

// Look tells how every limit of a key stands, without spending or recording
// anything.
func (s *Service) Look(ctx context.Context, snapshot *models.Snapshot) (Answer, error) {
	now := s.Now()
	a := Answer{At: now, Tightest: -1, Snapshot: snapshot}
	t := s.takes.Get().(*take)
	defer s.release(t)
	t.request.Group = string(snapshot.Owner.ID)
	compiled := snapshot.Rules()
	for i := range compiled {
		t.add(&compiled[i], now)
		t.request.Rules[i].Durable = s.Quotas != nil && compiled[i].Quota()
	}
	if err := t.decide(ctx, s.Limits, s.Quotas, &a); err != nil {
		return Answer{}, fmt.Errorf("look at limits: %w", err)
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
func (t *take) match(s *models.Snapshot, c *Check, now time.Time, durable bool) {
	t.request.Group, t.request.Cost = string(s.Owner.ID), c.Cost
	if c.CheckID != "" {
		t.request.ID, t.request.Fingerprint = string(s.Key.ID)+":"+c.CheckID, c.fingerprint()
	}
	compiled := s.Rules()
	for i := range compiled {
		if r := &compiled[i]; r.Matches(c.Method, c.Endpoint) {
			t.add(r, now)
			t.request.Rules[len(t.rules)-1].Durable = durable && r.Quota()
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
	t.record = models.Record{Limits: t.record.Limits[:0]}
	s.takes.Put(t)
}

// noStoreWait is the RetryAfter of a refusal for want of a limit store: nobody
// knows how long that lasts.
const noStoreWait = time.Second

// decide takes from all limits or none, and writes what came of it.
func (t *take) decide(ctx context.Context, limits Limits, quotas *Quotas, a *Answer) error {
	if len(t.rules) == 0 && t.request.ID == "" {
		a.Allowed, a.Code = true, OK
		return nil
	}
	degraded, err := t.takeFrom(ctx, limits, quotas)
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

// rebuilds bounds how often a take is tried again after counters of quotas were
// rebuilt: they could be lost again meanwhile.
const rebuilds = 3

// takeFrom takes from the limits, rebuilding the counters of quotas that they do
// not hold.
func (t *take) takeFrom(ctx context.Context, limits Limits, quotas *Quotas) (degraded bool, err error) {
	for try := 0; ; try++ {
		local, err := limits.Take(ctx, &t.request, &t.decision)
		degraded = degraded || local
		if err == nil {
			return degraded || quotas.uncertain(t, local), nil
		}
		if !errors.Is(err, ratelimit.ErrUnseeded) {
			return degraded, err
		}
		known := false
		if try < rebuilds {
			if known, err = quotas.rebuild(ctx, t, err, local); err != nil && !errors.Is(err, ratelimit.ErrUnavailable) {
				return degraded, err
			}
		}
		if !known || err != nil {
			// Better counted anew than not answered: it is raised later.
			degraded = true
			for i := range t.request.Rules {
				t.request.Rules[i].Durable = false
			}
		}
	}
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
	UserAgent   string
	Permissions []string // all of which the key must have
	// Settle asks that the cost can be corrected afterwards.
	Settle bool
}
