// Package usage brings what was answered into the database, each check once,
// and tells what it adds up to: along time, by key, owner, endpoint and meter,
// and check by check.
//
// Floor F2. It may import models and the packages of floor F0.
package usage

import (
	"context"
	"errors"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Reader adds usage up. Ranges end at starts of buckets.
type Reader interface {
	// Series adds up between each two edges; what nothing was used in is left out.
	Series(ctx context.Context, q models.UsageQuery, edges []time.Time) ([]models.UsageAt, error)
	Grouped(ctx context.Context, q models.UsageQuery, by models.UsageGroup, limit int) ([]models.UsageOf, error)
	Latencies(ctx context.Context, q models.UsageQuery) (map[int]int64, error)
	Segments(ctx context.Context, ids []models.SegmentID) (map[models.SegmentID]models.Segment, error)
}

// LogReader gives checks and reports one by one.
type LogReader interface {
	List(ctx context.Context, f models.UsageLogFilter, page models.Page) ([]models.UsageLog, error)
	Find(ctx context.Context, requestID string, around time.Time) ([]models.UsageLog, error)
}

// ViolationReader gives refusals by a rule.
type ViolationReader interface {
	List(ctx context.Context, f models.ViolationFilter, page models.Page) ([]models.RateLimitViolation, error)
}

// Progress tells how far everything is brought in; ok is false where that is
// not known.
type Progress interface {
	CompleteUntil(ctx context.Context) (until time.Time, ok bool, err error)
}

// KeyFinder finds the keys that usage is of.
type KeyFinder interface {
	Find(ctx context.Context, id models.KeyID) (*models.APIKey, error)
	FindMany(ctx context.Context, ids []models.KeyID) (map[models.KeyID]models.APIKey, error)
}

// OwnerFinder finds the owners that usage is of, by id or external id.
type OwnerFinder interface {
	Find(ctx context.Context, ref string) (*models.Owner, error)
	FindMany(ctx context.Context, ids []models.OwnerID) (map[models.OwnerID]models.Owner, error)
}

// PlanFinder finds the plans that usage is rated by.
type PlanFinder interface {
	FindMany(ctx context.Context, ids []models.PlanID) (map[models.PlanID]models.Plan, error)
}

// Deps is what the service is made of; all of it is needed.
type Deps struct {
	Usage      Reader
	Logs       LogReader
	Violations ViolationReader
	Progress   Progress
	Keys       KeyFinder
	Owners     OwnerFinder
	Plans      PlanFinder
	// Keep is how long buckets and days are kept; 0 is for ever.
	Keep time.Duration
	Now  func() time.Time
}

// Service tells what was used. It is safe for concurrent use.
type Service struct{ deps Deps }

// New makes the service.
func New(deps Deps) *Service { return &Service{deps} }

// Whose narrows usage to that of one key, of one owner, or of one key while it
// was one owner's. Empty fields narrow nothing.
type Whose struct {
	Key   models.KeyID
	Owner string // id or external id
}

// subject is whom usage was found to be of.
type subject struct {
	key   models.KeyID
	owner models.OwnerID
}

// find finds the subject. What it does not find is not there.
func (s *Service) find(ctx context.Context, w Whose) (found subject, err error) {
	if w.Key != "" {
		key, err := s.deps.Keys.Find(ctx, w.Key)
		if err != nil {
			return subject{}, err
		}
		found.key = key.ID
	}
	if w.Owner != "" {
		owner, err := s.deps.Owners.Find(ctx, w.Owner)
		if err != nil {
			return subject{}, err
		}
		found.owner = owner.ID
	}
	return found, nil
}

// filter finds the subject of a list. Here, what it does not find is a mistake
// in a parameter.
func (s *Service) filter(ctx context.Context, w Whose) (subject, error) {
	v := apierror.Validator{Location: apierror.Query}
	var found subject
	for _, part := range []struct {
		name string
		Whose
	}{{"key_id", Whose{Key: w.Key}}, {"owner", Whose{Owner: w.Owner}}} {
		one, err := s.find(ctx, part.Whose)
		if err != nil && !errors.Is(err, apierror.CodeNotFound) {
			return subject{}, err
		}
		v.Check(err == nil, part.name, "must be one that exists")
		found.key += one.key
		found.owner += one.owner
	}
	return found, v.Err()
}

// completeUntil gives the instant up to which everything is counted, or nil.
func (s *Service) completeUntil(ctx context.Context) (*time.Time, error) {
	until, ok, err := s.deps.Progress.CompleteUntil(ctx)
	if err != nil || !ok {
		return nil, err
	}
	return &until, nil
}

// keptFrom gives the instant from which all usage is kept, or nil for a range
// that begins no earlier.
func (s *Service) keptFrom(from time.Time) *time.Time {
	kept := s.deps.Now().Add(-s.deps.Keep)
	if s.deps.Keep == 0 || !from.Before(kept) {
		return nil
	}
	return &kept
}

// span bounds the time of a query.
type span struct {
	years, days, hours int
	text               string
}

// end gives the latest end of a span that begins at t.
func (s span) end(t time.Time) time.Time {
	return t.AddDate(s.years, 0, s.days).Add(time.Duration(s.hours) * time.Hour)
}

// since gives the earliest begin of a span that ends at t.
func (s span) since(t time.Time) time.Time {
	return t.AddDate(-s.years, 0, -s.days).Add(-time.Duration(s.hours) * time.Hour)
}

// ahead is how far from now a range may end: it is for periods that have begun.
const ahead = 366 * 24 * time.Hour

// checkRange checks what was asked for. Times are those of the zone, so that a
// day is a day also where the clock is changed.
func checkRange(v *apierror.Validator, from, to, now time.Time, most span) {
	v.Check(from.Year() >= 1970, "from", "must not be before 1970")
	v.Check(!to.After(now.Add(ahead)), "to", "must not be more than a year ahead")
	v.Check(from.Before(to), "from", "must be before to")
	v.Check(!to.After(most.end(from)), "from", "must be at most "+most.text+" before to")
}
