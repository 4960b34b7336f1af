// Package violations makes something of refusals by limits: how grave they are,
// who is refused so often that it is abuse, and which owners come near their
// quotas. Its methods are the handlers of jobs: they may run twice, and at once.
//
// Floor F2. It may import models and the packages of floor F0.
package violations

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// Store keeps violations.
type Store interface {
	// Due gives those of a key that were not wholly analyzed, by minute and id.
	Due(ctx context.Context, key models.KeyID, since time.Time, most int) ([]models.RateLimitViolation, error)
	// Repeats gives those of [from, to] by rule and minute, where one was analyzed.
	Repeats(ctx context.Context, key models.KeyID, from, to time.Time) ([]models.RateLimitViolation, error)
	// Minutes gives those of [from, to) in which the rule refused the key, in order.
	Minutes(ctx context.Context, key models.KeyID, rule string, from, to time.Time) ([]time.Time, error)
	Analyzed(ctx context.Context, rows []models.RateLimitViolation) error

	DenialsOfKey(ctx context.Context, key models.KeyID, from time.Time) (int64, error)
	DenialsOfOwner(ctx context.Context, owner models.OwnerID, from time.Time) (int64, error)
	DenialsOfIP(ctx context.Context, ip string, from time.Time) (int64, error)
	// IPsOf gives the addresses that the violations of a key name.
	IPsOf(ctx context.Context, key models.KeyID, from time.Time, most int) ([]string, error)
	// KeysOfIP gives keys beyond one, in the order of their ids.
	KeysOfIP(ctx context.Context, ip string, from time.Time, beyond models.KeyID, most int) ([]models.KeyID, error)
}

// Episodes keeps who was found to be refused too often. Find and Lock give
// apierror.CodeNotFound for who never was.
type Episodes interface {
	Find(ctx context.Context, subject string) (*models.AbuseEpisode, error)
	Lock(ctx context.Context, subject string) (*models.AbuseEpisode, error)
	// Open begins an episode unless one goes on that has a suspension, or was
	// seen after quiet.
	Open(ctx context.Context, e *models.AbuseEpisode, quiet time.Time) (opened bool, err error)
	Seen(ctx context.Context, subject string, at time.Time) error
	Advance(ctx context.Context, e *models.AbuseEpisode) error
}

// Quotas tells what is spent from quotas.
type Quotas interface {
	// Near gives those of which a percentage is reached that was not told of.
	Near(ctx context.Context, period models.PeriodKind, from, to time.Time, percents []int, most int) ([]models.QuotaTotal, error)
	// Tell marks that a percentage is told of, and whether it was not yet.
	Tell(ctx context.Context, key models.QuotaKey, percent int) (first bool, err error)
}

// Keys finds keys.
type Keys interface {
	Find(ctx context.Context, id models.KeyID) (*models.APIKey, error)
	FindMany(ctx context.Context, ids []models.KeyID) (map[models.KeyID]models.APIKey, error)
	// ActiveOf gives active keys of an owner beyond one, in the order of their ids.
	ActiveOf(ctx context.Context, owner models.OwnerID, beyond models.KeyID, now time.Time, most int) ([]models.KeyID, error)
}

// Suspender suspends keys that are active, with all that belongs to it: the
// audit row, and that every node refuses the key within a second.
type Suspender interface {
	SuspendActive(ctx context.Context, id models.KeyID, until time.Time, reason string) (suspended bool, err error)
}

// Owners finds owners.
type Owners interface {
	FindMany(ctx context.Context, ids []models.OwnerID) (map[models.OwnerID]models.Owner, error)
}

// Jobs asks for jobs, in the transaction of ctx.
type Jobs interface {
	Touch(ctx context.Context, kind models.JobKind, subject string, after time.Duration) error
}

// Notices tells people and programs, in the transaction of ctx.
type Notices interface {
	Add(ctx context.Context, notices ...models.Notice) error
}

// Transactions runs fn in a transaction, or in that of ctx.
type Transactions interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
}

// Threshold says from how many refusals on a subject is found to abuse the
// service, and what is done.
type Threshold struct {
	Denials int64         // in the window; 0 is never too many
	Window  time.Duration // the last of it, to the minute
	// SuspendFor is for how long keys are suspended; 0 tells of it alone.
	SuspendFor time.Duration
}

// Outreach says when owners are told of their quotas.
type Outreach struct {
	Enabled  bool
	Percents []int // of a quota, ascending
}

// Options are what the installation wants.
type Options struct {
	Key, Owner, IP Threshold
	Outreach       Outreach
}

// Deps is what the service is made of; all of it is needed.
type Deps struct {
	Store        Store
	Episodes     Episodes
	Quotas       Quotas
	Keys         Keys
	Suspender    Suspender
	Owners       Owners
	Jobs         Jobs
	Notices      Notices
	Transactions Transactions
	Options      Options
	Now          func() time.Time
}

// Service has the handlers of the jobs. It is safe for concurrent use, also by
// many processes.
type Service struct{ deps Deps }

// New makes the service.
func New(deps Deps) *Service { return &Service{deps: deps} }

// soon is when a job that is not done runs again.
const soon = time.Millisecond
