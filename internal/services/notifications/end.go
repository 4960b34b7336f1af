package notifications

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// end writes down how an attempt went, and answers how long to wait before the
// next one; zero where there is none.
func (s *Service) end(ctx context.Context, a *attempt, sent *models.Sent, cut bool, now time.Time) (again time.Duration, err error) {
	destination, delivery, err := s.lock(ctx, a.DeliveryID)
	if err != nil || delivery == nil {
		return 0, err
	}
	if err := s.Deliveries.End(ctx, &a.DeliveryAttempt); err != nil {
		return 0, err
	}
	ours := delivery.State == models.DeliveryPending && delivery.Attempts == a.Number
	switch {
	case sent.Delivered:
		// Whatever became of the delivery meanwhile: it was made.
		delivery.Finish(models.DeliveryDelivered, now)
	case !ours:
		return wait(delivery, now), nil
	case sent.Gone || sent.Hopeless || delivery.Attempts >= most(delivery):
		delivery.Finish(models.DeliveryFailed, now)
	case cut:
		delivery.NextAt, delivery.ClaimedUntil, again = &now, nil, time.Second
	default:
		again = delay(delivery.Attempts, s.Random(), sent.RetryAfter)
		next := now.Add(again)
		delivery.NextAt, delivery.ClaimedUntil = &next, nil
	}
	if err := s.Deliveries.Save(ctx, delivery); err != nil {
		return 0, err
	}
	if destination == nil || cut {
		return again, nil
	}
	return again, s.judge(ctx, destination, delivery, sent, now)
}

// judge notes of a destination whether it fails, and disables one that is gone
// or has failed for too long.
func (s *Service) judge(ctx context.Context, d *models.Destination, delivery *models.Delivery, sent *models.Sent, now time.Time) error {
	switch {
	case sent.Delivered && d.FailingSince != nil:
		return s.Destinations.Fails(ctx, d.ID, nil)
	case sent.Delivered, test(delivery), d.Disabled():
		return nil
	case d.ToOwner && sent.Hopeless && !sent.Gone:
		return nil // one owner's address says nothing of the others
	case sent.Gone:
		return s.giveUp(ctx, d, "The receiver says that it is gone for good (HTTP 410)", now)
	case d.FailingSince == nil:
		return s.Destinations.Fails(ctx, d.ID, &now)
	case now.Sub(*d.FailingSince) >= s.DisableAfter:
		return s.giveUp(ctx, d, "Every attempt has failed since "+d.FailingSince.UTC().Format(time.RFC3339), now)
	}
	return nil
}

// giveUp disables a destination by itself, and tells the others.
func (s *Service) giveUp(ctx context.Context, d *models.Destination, reason string, now time.Time) error {
	before := *d
	d.DisabledAt, d.DisabledReason = &now, reason
	if d.FailingSince == nil {
		d.FailingSince = &now // what was disabled for failing can be told from what a person disabled
	}
	if err := s.Destinations.Update(ctx, d); err != nil {
		return err
	}
	canceled, err := s.Deliveries.CancelPending(ctx, d.ID, now)
	if err != nil {
		return err
	}
	err = s.Notices.Add(ctx, models.Notice{
		DedupKey: fmt.Sprintf("%s:%s:%d", models.EventDestinationDisabled, d.ID, d.Version),
		Event: models.Event{
			Type: models.EventDestinationDisabled, At: now, Severity: models.SeverityCritical,
			Title: fmt.Sprintf("The destination %s is disabled", d.Name),
			Text:  fmt.Sprintf("%s. %d deliveries to it are canceled. Nothing is sent there until somebody enables it again.", reason, canceled),
			Data:  map[string]string{"destination_id": string(d.ID), "destination": d.Name, "reason": reason},
		},
	})
	if err != nil {
		return err
	}
	return s.Changes.Record(ctx, record("destination.disable", d.ID, &before, d))
}
