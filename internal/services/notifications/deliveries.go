package notifications

import (
	"context"
	"fmt"
	"net/mail"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// testTimeout is how long somebody waits for a test.
const testTimeout = 15 * time.Second

// View is a delivery and the attempts that were made.
type View struct {
	Delivery models.Delivery
	Attempts []models.DeliveryAttempt
}

// Delivery gives a delivery with its attempts.
func (s *Service) Delivery(ctx context.Context, id models.DeliveryID) (View, error) {
	d, err := s.Deliveries.Find(ctx, id)
	if err != nil {
		return View{}, err
	}
	attempts, err := s.Deliveries.AttemptsOf(ctx, id)
	return View{Delivery: *d, Attempts: attempts}, err
}

// Filter narrows a list of deliveries; zero fields match all.
type Filter struct {
	Destination string // id or name; an id may be that of one that was erased
	State       models.DeliveryState
	Since       time.Time
}

// Sent gives a page of the deliveries that match.
func (s *Service) Sent(ctx context.Context, f Filter, page models.Page) ([]models.Delivery, error) {
	filter := models.DeliveryFilter{State: f.State, Since: f.Since}
	if f.Destination != "" {
		id, err := models.ParseID[models.DestinationID](f.Destination)
		if err != nil {
			d, err := s.Destinations.Find(ctx, f.Destination)
			if err != nil {
				return nil, models.MissingRef(err, apierror.Query, "destination", "destination")
			}
			id = d.ID
		}
		filter.DestinationID = id
	}
	return s.Deliveries.List(ctx, filter, page)
}

// Redeliver sends a message again, as it was and with its id, by a delivery of
// its own. The one that it is made from has to have ended, and its destination
// to be enabled.
func (s *Service) Redeliver(ctx context.Context, id models.DeliveryID) (made models.Delivery, err error) {
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		destination, origin, err := s.lock(ctx, id)
		switch {
		case err != nil:
			return err
		case origin == nil:
			return apierror.NotFound("delivery")
		case origin.State == models.DeliveryPending:
			return apierror.New(apierror.CodeConflict, "The delivery has not ended yet")
		case destination == nil:
			return apierror.New(apierror.CodeConflict, "The destination of the delivery is deleted")
		case destination.Disabled():
			return apierror.New(apierror.CodeConflict, "The destination is disabled: enable it first")
		case origin.OwnerID != nil && origin.To == "":
			return apierror.New(apierror.CodeConflict, "The address that it went to is erased")
		}
		now := s.now()
		made = newDelivery(destination.ID, now)
		made.Message, made.NextAt = origin.Message, &now
		made.OwnerID, made.To, made.OriginID = origin.OwnerID, origin.To, &origin.ID
		if err := s.Deliveries.CreateMany(ctx, []models.Delivery{made}); err != nil {
			return err
		}
		if err := s.Jobs.Touch(ctx, models.JobNotifyDeliver, string(made.ID), 0); err != nil {
			return err
		}
		return s.Changes.Record(ctx, models.Change{
			Action: "delivery.redeliver", ObjectKind: "delivery", ObjectID: string(made.ID),
			After: map[string]string{"destination_id": string(destination.ID), "origin_id": string(origin.ID)},
		})
	})
	if err != nil {
		return models.Delivery{}, fmt.Errorf("redeliver %s: %w", id, err)
	}
	return made, nil
}

// Test sends a test to a destination at once, be it disabled, and answers how
// that went. It counts against the rate of the destination, and is not tried
// again. A destination that is the owner has no address of its own: to gives one.
func (s *Service) Test(ctx context.Context, ref, to string) (View, error) {
	a, err := s.beginTest(ctx, ref, to)
	if err != nil {
		return View{}, fmt.Errorf("test destination: %w", err)
	}
	if _, err := s.attempt(ctx, a, testTimeout); err != nil {
		return View{}, fmt.Errorf("test destination: %w", err)
	}
	return s.Delivery(context.WithoutCancel(ctx), a.DeliveryID)
}

func (s *Service) beginTest(ctx context.Context, ref, to string) (a *attempt, err error) {
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		d, err := s.Destinations.Lock(ctx, ref)
		if err != nil {
			return err
		}
		if err := checkTo(d, to); err != nil {
			return err
		}
		now := s.now()
		free, err := s.freeAt(ctx, d, now)
		if err != nil {
			return err
		}
		if free.After(now) {
			return apierror.Newf(apierror.CodeConflict, "The destination has had its %d deliveries of this minute: try again in %d s",
				d.RatePerMinute, int(free.Sub(now)/time.Second)+1)
		}
		delivery := newDelivery(d.ID, now)
		delivery.To, delivery.NextAt = to, &now
		delivery.Message.Events = []models.Event{{
			ID: models.NewID[models.NoticeID](), Type: models.EventTest, At: now, Severity: models.SeverityInfo,
			Title: "This is a test", Text: fmt.Sprintf("Somebody asked for it, to see whether the destination %s works.", d.Name),
			Data: map[string]string{"destination_id": string(d.ID), "destination": d.Name},
		}}
		if err := s.Deliveries.CreateMany(ctx, []models.Delivery{delivery}); err != nil {
			return err
		}
		// Should this program stop now, a worker ends the delivery.
		if err := s.Jobs.Touch(ctx, models.JobNotifyDeliver, string(delivery.ID), lease); err != nil {
			return err
		}
		if a, err = s.begin(ctx, d, &delivery, now); err != nil {
			return err
		}
		return s.Changes.Record(ctx, models.Change{
			Action: "destination.test", ObjectKind: "destination", ObjectID: string(d.ID),
			After: map[string]string{"delivery_id": string(delivery.ID)},
		})
	})
	return a, err
}

func checkTo(d *models.Destination, to string) error {
	var v apierror.Validator
	if d.ToOwner {
		address, err := mail.ParseAddress(to)
		v.Check(err == nil && address.Address == to && len(to) <= models.MaxName, "to", "must be the e-mail address for the test: the destination has none of its own")
	} else {
		v.Check(to == "", "to", "must be absent: the destination has its own address")
	}
	return v.Err()
}
