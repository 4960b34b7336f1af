// Package notifications tells people and programs what happened: where they
// want to hear of it, what goes there, and how often that is tried.
//
// A notice becomes at most one delivery per destination, of its own or together
// with others, in one transaction. A delivery is made at least once: the same
// message, with the same id, until the destination has it or is given up.
//
// Floor F2. It may import models and the packages of floor F0.
package notifications

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Destinations keeps where notifications go. A ref is an id or a name.
type Destinations interface {
	Create(ctx context.Context, d *models.Destination) error
	Find(ctx context.Context, ref string) (*models.Destination, error)
	Lock(ctx context.Context, ref string) (*models.Destination, error)
	List(ctx context.Context, page models.Page) ([]models.Destination, error)
	Enabled(ctx context.Context) ([]models.Destination, error)
	// Count makes others who count wait for the transaction.
	Count(ctx context.Context) (int64, error)
	Update(ctx context.Context, d *models.Destination) error
	// Fails notes since when it fails, nil where it does not.
	Fails(ctx context.Context, id models.DestinationID, since *time.Time) error
	Delete(ctx context.Context, id models.DestinationID) error
	// RulesNaming gives the names of the alert rules that name it.
	RulesNaming(ctx context.Context, id models.DestinationID) ([]string, error)
	// ForgetSecrets erases previous secrets that sign no more.
	ForgetSecrets(ctx context.Context, now time.Time) error
}

// Deliveries keeps what goes to destinations. Who locks a destination and a
// delivery locks the destination first.
type Deliveries interface {
	CreateMany(ctx context.Context, list []models.Delivery) error
	Find(ctx context.Context, id models.DeliveryID) (*models.Delivery, error)
	Lock(ctx context.Context, id models.DeliveryID) (*models.Delivery, error)
	// Waiting locks those that nobody has tried to send.
	Waiting(ctx context.Context, destination models.DestinationID, recipients []string) ([]models.Delivery, error)
	List(ctx context.Context, f models.DeliveryFilter, page models.Page) ([]models.Delivery, error)
	Save(ctx context.Context, d *models.Delivery) error
	CancelPending(ctx context.Context, destination models.DestinationID, now time.Time) (int64, error)
	Begin(ctx context.Context, a *models.DeliveryAttempt) error
	End(ctx context.Context, a *models.DeliveryAttempt) error
	Attempt(ctx context.Context, id models.DeliveryID, number int) (*models.DeliveryAttempt, error)
	AttemptsOf(ctx context.Context, id models.DeliveryID) ([]models.DeliveryAttempt, error)
	// FullSince gives since when there were as many attempts as a rate allows, of
	// those after the horizon; zero where there were fewer.
	FullSince(ctx context.Context, destination models.DestinationID, rate int, horizon time.Time) (time.Time, error)
	Prune(ctx context.Context, before time.Time) (int64, error)
}

// Notices keeps what is to be told.
type Notices interface {
	Add(ctx context.Context, notices ...models.Notice) error
	// OldestUnplanned is zero where everything is planned.
	OldestUnplanned(ctx context.Context) (time.Time, error)
	// LockUnplanned makes other planners wait for the transaction.
	LockUnplanned(ctx context.Context, most int) ([]models.Notice, error)
	Planned(ctx context.Context, ids []models.NoticeID, now time.Time) error
}

// Owners finds whom an event is about.
type Owners interface {
	FindMany(ctx context.Context, ids []models.OwnerID) (map[models.OwnerID]models.Owner, error)
}

// Jobs asks for work in the transaction that makes it due.
type Jobs interface {
	Touch(ctx context.Context, kind models.JobKind, subject string, after time.Duration) error
}

// Changes makes a change durable in one transaction with its audit row.
type Changes interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	Record(ctx context.Context, changes ...models.Change) error
}

// Sender makes one attempt. The address is empty unless the destination is the
// owner. It answers when ctx ends.
type Sender interface {
	Send(ctx context.Context, d *models.Destination, to string, m *models.Message) models.Sent
}

// Checker says of the URL, headers and addresses of a destination what is wrong
// with them, in the fields url, headers and to.
type Checker interface {
	Check(v *apierror.Validator, d *models.Destination)
}

// Deps is what the service is made of; all of it is needed but what says so.
type Deps struct {
	Destinations Destinations
	Deliveries   Deliveries
	Notices      Notices
	Owners       Owners
	Jobs         Jobs
	Changes      Changes
	Sender       Sender
	Checker      Checker
	// EmailMissing names the setting without which no email can be sent; empty
	// where it can.
	EmailMissing string
	// GroupWait is how long the first notice of a burst waits for the others.
	GroupWait time.Duration
	// DisableAfter is how long a destination may fail before it is disabled.
	DisableAfter time.Duration
	Now          func() time.Time
	// Random gives numbers from 0 up to 1. It is safe for concurrent use.
	Random func() float64
	// OnAttempt is told how each attempt ended, and how long it took; nil tells
	// nobody.
	OnAttempt func(to models.DestinationType, outcome Outcome, took time.Duration)
}

// Outcome says how an attempt ended.
type Outcome string

// The outcomes.
const (
	Delivered Outcome = "delivered"
	Retry     Outcome = "retry"  // it failed, or was cut short, and is tried again
	Failed    Outcome = "failed" // the delivery is given up, or was settled meanwhile
)

// Service keeps destinations, plans deliveries and makes them. It is safe for
// concurrent use, by many processes.
type Service struct{ Deps }

// New makes the service.
func New(deps Deps) *Service { return &Service{deps} }

// now is the clock as precisely as it is stored.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// Prune erases what was finished before an instant, and secrets that sign no
// more. It tells how many deliveries that was.
func (s *Service) Prune(ctx context.Context, before time.Time) (int64, error) {
	if err := s.Destinations.ForgetSecrets(ctx, s.now()); err != nil {
		return 0, err
	}
	return s.Deliveries.Prune(ctx, before)
}
