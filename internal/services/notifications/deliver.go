package notifications

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

const (
	// lease is how long others leave a delivery to whoever began an attempt.
	lease = 30 * time.Second
	// sendTimeout ends an attempt before others take it for lost.
	sendTimeout = 25 * time.Second
	// endTimeout is how long it may take to write down how an attempt went, though
	// the process is ending.
	endTimeout = 10 * time.Second
	// rateWindow is the time that a rate counts in.
	rateWindow = time.Minute
)

// An attempt that is under way.
type attempt struct {
	models.DeliveryAttempt
	destination models.Destination
	delivery    models.Delivery
}

// Deliver makes one attempt of a delivery: it is the job notify:deliver. It
// answers how long to wait before the next one; zero when there is none to make.
//
// Whoever makes an attempt first writes down that it does. Another run leaves the
// delivery alone until that is 30 s ago; then the program that began must have
// stopped, and the message is sent again, which its id tells the receiver.
func (s *Service) Deliver(ctx context.Context, subject string) (again time.Duration, err error) {
	id, err := models.ParseID[models.DeliveryID](subject)
	if err != nil {
		return 0, fmt.Errorf("delivery %q: %w", subject, err)
	}
	a, again, err := s.claim(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("begin to deliver %s: %w", id, err)
	}
	if a == nil {
		return again, nil
	}
	if again, err = s.attempt(ctx, a, sendTimeout); err != nil {
		return 0, fmt.Errorf("deliver %s: %w", id, err)
	}
	return again, nil
}

// claim begins an attempt if one is due. If not, it answers how long to wait;
// zero where there is nothing more to do.
func (s *Service) claim(ctx context.Context, id models.DeliveryID) (a *attempt, again time.Duration, err error) {
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		a, again = nil, 0
		now := s.now()
		destination, delivery, err := s.lock(ctx, id)
		if err != nil || delivery == nil || delivery.State != models.DeliveryPending {
			return err
		}
		if again = wait(delivery, now); again > 0 {
			return nil
		}
		if delivery.ClaimedUntil != nil {
			if err := s.interrupted(ctx, delivery, now); err != nil || delivery.State != models.DeliveryPending {
				return err
			}
		}
		if destination == nil || destination.Disabled() && !test(delivery) {
			delivery.Finish(models.DeliveryCanceled, now)
			return s.Deliveries.Save(ctx, delivery)
		}
		free, err := s.freeAt(ctx, destination, now)
		if err != nil {
			return err
		}
		if free.After(now) {
			delivery.NextAt, again = &free, free.Sub(now)
			return s.Deliveries.Save(ctx, delivery)
		}
		a, err = s.begin(ctx, destination, delivery, now)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return a, again, nil
}

// lock gives a delivery and its destination, each nil where it is gone.
func (s *Service) lock(ctx context.Context, id models.DeliveryID) (*models.Destination, *models.Delivery, error) {
	found, err := s.Deliveries.Find(ctx, id)
	if errors.Is(err, apierror.CodeNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	destination, err := s.Destinations.Lock(ctx, string(found.DestinationID))
	if errors.Is(err, apierror.CodeNotFound) {
		destination, err = nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	delivery, err := s.Deliveries.Lock(ctx, id)
	if errors.Is(err, apierror.CodeNotFound) {
		return destination, nil, nil
	}
	return destination, delivery, err
}

// wait is how long nobody is to touch a delivery.
func wait(d *models.Delivery, now time.Time) time.Duration {
	var until time.Duration
	for _, at := range []*time.Time{d.ClaimedUntil, d.NextAt} {
		if at != nil {
			until = max(until, at.Sub(now))
		}
	}
	return until
}

// interrupted ends an attempt that nobody is at any more. It counts: otherwise a
// message that ends every program would be tried for ever.
func (s *Service) interrupted(ctx context.Context, d *models.Delivery, now time.Time) error {
	lost, err := s.Deliveries.Attempt(ctx, d.ID, d.Attempts)
	if err != nil {
		return err
	}
	lost.DoneAt, lost.Error = &now, "the program stopped before it knew how this ended"
	if err := s.Deliveries.End(ctx, lost); err != nil {
		return err
	}
	d.ClaimedUntil = nil
	if d.Attempts >= most(d) {
		d.Finish(models.DeliveryFailed, now)
	}
	return s.Deliveries.Save(ctx, d)
}

// freeAt is when the rate of a destination lets it be tried again; not after now
// where it may be tried.
func (s *Service) freeAt(ctx context.Context, d *models.Destination, now time.Time) (time.Time, error) {
	full, err := s.Deliveries.FullSince(ctx, d.ID, d.RatePerMinute, now.Add(-rateWindow))
	if err != nil || full.IsZero() {
		return time.Time{}, err
	}
	return full.Add(rateWindow), nil
}

// begin writes down that an attempt is being made.
func (s *Service) begin(ctx context.Context, destination *models.Destination, delivery *models.Delivery, now time.Time) (*attempt, error) {
	until := now.Add(lease)
	delivery.Attempts++
	delivery.NextAt, delivery.ClaimedUntil = nil, &until
	a := &attempt{destination: *destination, DeliveryAttempt: models.DeliveryAttempt{
		DeliveryID: delivery.ID, Number: delivery.Attempts, DestinationID: destination.ID, At: now,
	}}
	if err := s.Deliveries.Save(ctx, delivery); err != nil {
		return nil, err
	}
	a.delivery = *delivery
	return a, s.Deliveries.Begin(ctx, &a.DeliveryAttempt)
}

// attempt sends what was begun and writes down how that went.
func (s *Service) attempt(ctx context.Context, a *attempt, timeout time.Duration) (again time.Duration, err error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	sent := s.Sender.Send(bounded, &a.destination, a.delivery.To, &a.delivery.Message)
	// Of an attempt that our own end cut short, nobody can say that the receiver
	// failed it.
	cut := ctx.Err() != nil && !sent.Delivered
	now := s.now()
	a.DoneAt, a.TookMS, a.Delivered, a.Status = &now, now.Sub(a.At).Milliseconds(), sent.Delivered, sent.Status
	a.Request, a.Response, a.Error = sent.Request, sent.Response, sent.Error

	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	err = s.Changes.InTx(ending, func(ctx context.Context) (err error) {
		again, err = s.end(ctx, a, &sent, cut, now)
		return err
	})
	if s.OnAttempt != nil {
		s.OnAttempt(a.destination.Type, outcome(&sent, again, err), now.Sub(a.At))
	}
	return again, err
}

// outcome tells how an attempt ended. Where that could not be written down, the
// message is sent again.
func outcome(sent *models.Sent, again time.Duration, err error) Outcome {
	switch {
	case err != nil || again > 0:
		return Retry
	case sent.Delivered:
		return Delivered
	}
	return Failed
}

// test tells whether a delivery only tries a destination: it is tried once, and
// says nothing of whether the destination fails.
func test(d *models.Delivery) bool {
	return len(d.Message.Events) > 0 && d.Message.Events[0].Type == models.EventTest
}

func most(d *models.Delivery) int {
	if test(d) {
		return 1
	}
	return MaxAttempts
}
