package notifications

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

const (
	// planNotices is how many notices are planned at most in one transaction.
	planNotices = 1000
	// planDeliveries is about how many deliveries one transaction touches: where
	// each owner is told apart, it takes fewer notices.
	planDeliveries = 500
	// failingHold is how long what is new for a failing destination waits before
	// it is first tried. What comes meanwhile joins it, so that at most one
	// delivery in so long begins to be tried in vain.
	failingHold = 20 * time.Second
)

// Plan makes deliveries of new notices: it is the job notify:plan. While the
// first of them has not waited for others long enough, it answers how long it
// wants to wait; zero when there is nothing left.
//
// For each destination there is at most one delivery that was never tried, for
// each owner where it goes to owners: what is new joins it. So there are no more
// of them than the rate of the destination lets begin, however much happens.
func (s *Service) Plan(ctx context.Context, _ string) (again time.Duration, err error) {
	for {
		oldest, err := s.Notices.OldestUnplanned(ctx)
		if err != nil || oldest.IsZero() {
			return 0, err
		}
		now := s.now()
		if oldest.After(now) { // by another machine's clock
			oldest = now
		}
		if ready := oldest.Add(s.GroupWait); now.Before(ready) {
			return ready.Sub(now), nil
		}
		more := false
		err = s.Changes.InTx(ctx, func(ctx context.Context) (err error) {
			more, err = s.plan(ctx, now)
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("plan deliveries: %w", err)
		}
		if !more {
			return 0, nil
		}
	}
}

// plan takes the oldest notices and tells whether there may be more.
func (s *Service) plan(ctx context.Context, now time.Time) (more bool, err error) {
	notices, err := s.Notices.LockUnplanned(ctx, planNotices)
	if err != nil || len(notices) == 0 {
		return false, err
	}
	destinations, err := s.Destinations.Enabled(ctx)
	if err != nil {
		return false, err
	}
	owners, err := s.ownersOf(ctx, notices, destinations)
	if err != nil {
		return false, err
	}
	groups, taken := group(notices, destinations, owners)
	for i := range destinations {
		if err := s.planFor(ctx, &destinations[i], groups[destinations[i].ID], now); err != nil {
			return false, err
		}
	}
	ids := make([]models.NoticeID, taken)
	for i := range ids {
		ids[i] = notices[i].ID
	}
	return taken < len(notices) || taken == planNotices, s.Notices.Planned(ctx, ids, now)
}

// ownersOf gives the owners that events are about, where any destination goes to
// owners.
func (s *Service) ownersOf(ctx context.Context, notices []models.Notice, destinations []models.Destination) (map[models.OwnerID]models.Owner, error) {
	if !slices.ContainsFunc(destinations, func(d models.Destination) bool { return d.ToOwner }) {
		return nil, nil
	}
	seen := map[models.OwnerID]bool{}
	var ids []models.OwnerID
	for i := range notices {
		if id := notices[i].Event.OwnerID; id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return s.Owners.FindMany(ctx, ids)
}

// letter is what one delivery is to say.
type letter struct {
	owner  models.OwnerID // where it goes to owners
	to     string
	events []models.Event
}

// group says who is told of what, in the order of the notices, and how many of
// them it took.
func group(notices []models.Notice, destinations []models.Destination, owners map[models.OwnerID]models.Owner) (map[models.DestinationID][]*letter, int) {
	type addressee struct {
		destination models.DestinationID
		owner       models.OwnerID
	}
	letters, found := map[models.DestinationID][]*letter{}, map[addressee]*letter{}
	for i := range notices {
		if len(found) >= planDeliveries {
			return letters, i
		}
		n := &notices[i]
		for j := range destinations {
			d := &destinations[j]
			if len(n.Destinations) > 0 && !slices.Contains(n.Destinations, d.ID) || !d.Wants(&n.Event) {
				continue
			}
			key, to := addressee{destination: d.ID}, ""
			if d.ToOwner {
				if key.owner, to = n.Event.OwnerID, owners[n.Event.OwnerID].Email; to == "" {
					continue
				}
			}
			l, ok := found[key]
			if !ok {
				l = &letter{owner: key.owner, to: to}
				found[key] = l
				letters[d.ID] = append(letters[d.ID], l)
			}
			l.events = append(l.events, n.Event)
		}
	}
	return letters, len(notices)
}

// planFor adds what a destination is to be told to the delivery that waits
// untried, or to a new one.
func (s *Service) planFor(ctx context.Context, d *models.Destination, letters []*letter, now time.Time) error {
	if len(letters) == 0 {
		return nil
	}
	waiting, err := s.waiting(ctx, d, letters)
	if err != nil {
		return err
	}
	next := now
	if d.FailingSince != nil {
		next = now.Add(failingHold)
	}
	var made []models.Delivery
	for _, l := range letters {
		delivery, ok := waiting[l.owner]
		if !ok {
			delivery = newDelivery(d.ID, now)
			if delivery.To, delivery.NextAt = l.to, &next; l.owner != "" {
				delivery.OwnerID = &l.owner
			}
		}
		say(&delivery.Message, l.events)
		if ok {
			err = s.Deliveries.Save(ctx, &delivery)
		} else {
			made = append(made, delivery)
		}
		if err != nil {
			return err
		}
		due := max(delivery.NextAt.Sub(now), 0)
		if err := s.Jobs.Touch(ctx, models.JobNotifyDeliver, string(delivery.ID), due); err != nil {
			return err
		}
	}
	return s.Deliveries.CreateMany(ctx, made)
}

// waiting gives the untried deliveries by the owner they go to.
func (s *Service) waiting(ctx context.Context, d *models.Destination, letters []*letter) (map[models.OwnerID]models.Delivery, error) {
	addresses := make([]string, 0, len(letters))
	for _, l := range letters {
		if !slices.Contains(addresses, l.to) {
			addresses = append(addresses, l.to)
		}
	}
	list, err := s.Deliveries.Waiting(ctx, d.ID, addresses)
	if err != nil {
		return nil, err
	}
	byOwner := make(map[models.OwnerID]models.Delivery, len(list))
	for _, delivery := range list {
		var owner models.OwnerID
		if delivery.OwnerID != nil {
			owner = *delivery.OwnerID
		}
		byOwner[owner] = delivery
	}
	return byOwner, nil
}

func newDelivery(destination models.DestinationID, now time.Time) models.Delivery {
	id := models.NewID[models.DeliveryID]()
	return models.Delivery{
		ID: id, DestinationID: destination, State: models.DeliveryPending, CreatedAt: now,
		Message: models.Message{ID: string(id), At: now},
	}
}

// say adds events to a message that nobody has seen. What is too much for it is
// counted.
func say(m *models.Message, events []models.Event) {
	room := min(max(models.MaxMessageEvents-len(m.Events), 0), len(events))
	m.Events = append(m.Events, events[:room]...)
	m.Omitted += len(events) - room
}
