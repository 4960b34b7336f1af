package notifications_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/notifications"
)

func TestABurstBecomesOneDeliveryForEachDestination(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		a, b := w.create(), w.create()
		w.tell(500, models.Event{})
		again, err := w.Plan(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, 2*time.Second, again, "it waits for the rest of the burst")
		require.Empty(t, w.all(notifications.Filter{}))
		w.plan()
		for _, d := range []models.Destination{a, b} {
			delivery := w.only(d)
			require.Equal(t, models.DeliveryPending, delivery.State)
			require.Len(t, delivery.Message.Events, models.MaxMessageEvents)
			require.Equal(t, 500-models.MaxMessageEvents, delivery.Message.Omitted)
			require.Equal(t, string(delivery.ID), delivery.Message.ID)
			job, err := w.jobs.Load(t.Context(), models.JobNotifyDeliver, string(delivery.ID))
			require.NoError(t, err, "its job is asked for in the same transaction")
			require.NotNil(t, job)
		}
		w.plan()
		require.Len(t, w.all(notifications.Filter{}), 2, "planning again plans nothing")
	})
}

func TestMoreThanOneTransactionTakesComesIntoOneDelivery(t *testing.T) {
	w := newWorld(t)
	d := w.create()
	w.tell(2500, models.Event{})
	w.plan()
	delivery := w.only(d)
	require.Len(t, delivery.Message.Events, models.MaxMessageEvents)
	require.Equal(t, 2500-models.MaxMessageEvents, delivery.Message.Omitted)
}

func TestPlannersAtTheSameTimeDoubleNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		d := w.create()
		w.tell(500, models.Event{})
		w.advance(2 * time.Second)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if _, err := w.Plan(t.Context(), ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		delivery := w.only(d)
		require.Equal(t, 500, len(delivery.Message.Events)+delivery.Message.Omitted)
	})
}

func TestAPlanThatFailsLeavesEverythingToTheNext(t *testing.T) {
	w := newWorld(t)
	owner := w.owner("ada@example.com")
	d := w.create(func(n *notifications.NewDestination) {
		n.Type, n.URL, n.ToOwner = models.DestinationEmail, "", true
	})
	w.tell(3, models.Event{Type: models.EventOwnerQuota, Severity: models.SeverityInfo, OwnerID: owner.ID})
	w.advance(2 * time.Second)
	broken := *w.Service
	broken.Deliveries = failing{w.Deliveries}
	_, err := broken.Plan(t.Context(), "")
	require.ErrorIs(t, err, errBroken)
	require.Empty(t, w.all(notifications.Filter{}))
	w.plan()
	require.Len(t, w.only(d).Message.Events, 3)
}

var errBroken = fmt.Errorf("broken")

func TestADestinationIsToldWhatItWants(t *testing.T) {
	w := newWorld(t)
	email := func(n *notifications.NewDestination) { n.Type, n.URL, n.ToOwner = models.DestinationEmail, "", true }
	ada, silent := w.owner("ada@example.com"), w.owner("")
	event := func(e models.EventType, s models.Severity, owner models.OwnerID) models.Event {
		return models.Event{Type: e, Severity: s, OwnerID: owner}
	}
	alert, quota := models.EventAlertActive, models.EventOwnerQuota
	for _, row := range []struct {
		name   string
		change func(*notifications.NewDestination)
		event  models.Event
		told   bool
	}{
		{"everything", nil, event(alert, models.SeverityInfo, ""), true},
		{"its type", func(n *notifications.NewDestination) { n.Events = []string{"alert.active"} }, event(alert, models.SeverityInfo, ""), true},
		{"its family", func(n *notifications.NewDestination) { n.Events = []string{"key.*", "alert.*"} }, event(alert, models.SeverityInfo, ""), true},
		{"another type", func(n *notifications.NewDestination) { n.Events = []string{"alert.resolved", "key.*"} }, event(alert, models.SeverityCritical, ""), false},
		{"severe enough", func(n *notifications.NewDestination) { n.MinSeverity = models.SeverityWarning }, event(alert, models.SeverityWarning, ""), true},
		{"of no severity", nil, event(alert, "", ""), true},
		{"not severe enough", func(n *notifications.NewDestination) { n.MinSeverity = models.SeverityCritical }, event(alert, models.SeverityWarning, ""), false},
		{"the owner", email, event(quota, models.SeverityInfo, ada.ID), true},
		{"the owner of a key", email, event(models.EventKeyExpired, models.SeverityInfo, ada.ID), true},
		{"an alert about the owner", email, event(alert, models.SeverityCritical, ada.ID), false},
		{"an owner without an address", email, event(quota, models.SeverityInfo, silent.ID), false},
		{"an owner who is gone", email, event(quota, models.SeverityInfo, models.NewID[models.OwnerID]()), false},
		{"no owner", email, event(models.EventKeyExpired, models.SeverityInfo, ""), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := w.create(func(n *notifications.NewDestination) {
				if row.change != nil {
					row.change(n)
				}
			})
			w.tell(1, row.event, d.ID)
			w.plan()
			require.Equal(t, row.told, len(w.all(notifications.Filter{Destination: string(d.ID)})) == 1)
			_, err := w.Disable(t.Context(), string(d.ID), "")
			require.NoError(t, err)
			before := len(w.all(notifications.Filter{}))
			w.tell(1, row.event, d.ID)
			w.plan()
			require.Len(t, w.all(notifications.Filter{}), before, "neither is one that is disabled, nor another")
		})
	}
}

func TestEachOwnerIsToldOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.owner("ada@example.com"), w.owner("bob@example.com")
	shared := w.owner("ada@example.com") // one mailbox, another account
	d := w.create(func(n *notifications.NewDestination) { n.Type, n.URL, n.ToOwner = models.DestinationEmail, "", true })
	for round := range 2 {
		for _, o := range []models.Owner{ada, bob, shared} {
			w.tell(2, models.Event{Type: models.EventOwnerQuota, Severity: models.SeverityInfo, OwnerID: o.ID})
		}
		w.plan()
		list := w.all(notifications.Filter{Destination: string(d.ID)})
		require.Len(t, list, 3)
		for _, delivery := range list {
			require.Len(t, delivery.Message.Events, 2*(round+1), "what is new joins what waits")
			for _, e := range delivery.Message.Events {
				require.Equal(t, *delivery.OwnerID, e.OwnerID)
			}
			want := map[models.OwnerID]string{ada.ID: ada.Email, bob.ID: bob.Email, shared.ID: shared.Email}
			require.Equal(t, want[*delivery.OwnerID], delivery.To)
		}
	}
	for _, delivery := range w.all(notifications.Filter{}) {
		require.Zero(t, w.deliver(delivery.ID))
	}
	require.Len(t, w.sender.calls, 3)
	require.NotEmpty(t, w.sender.calls[0].to)
}

func TestManyOwnersArePlannedInBoundedTransactions(t *testing.T) {
	w := newWorld(t)
	d := w.create(func(n *notifications.NewDestination) { n.Type, n.URL, n.ToOwner = models.DestinationEmail, "", true })
	for i := range 700 {
		o := w.owner(fmt.Sprintf("o%d@example.com", i))
		w.tell(1, models.Event{Type: models.EventOwnerQuota, Severity: models.SeverityInfo, OwnerID: o.ID})
	}
	w.plan()
	require.Len(t, w.all(notifications.Filter{Destination: string(d.ID)}), 700)
}

func TestAFloodMakesNoMoreDeliveriesThanTheRateLetsBegin(t *testing.T) {
	w := newWorld(t)
	d := w.create(func(n *notifications.NewDestination) { n.RatePerMinute = 3 })
	told := 0
	for range 40 { // 120 seconds
		w.tell(30, models.Event{})
		told += 30
		w.advance(time.Second)
		w.plan()
		for _, delivery := range w.all(notifications.Filter{State: models.DeliveryPending}) {
			w.deliver(delivery.ID)
		}
	}
	list := w.all(notifications.Filter{Destination: string(d.ID)})
	require.LessOrEqual(t, len(list), 2*3+1)
	require.LessOrEqual(t, len(w.sender.calls), 2*3)
	events := 0
	for _, delivery := range list {
		require.LessOrEqual(t, len(delivery.Message.Events), models.MaxMessageEvents)
		events += len(delivery.Message.Events) + delivery.Message.Omitted
	}
	require.Equal(t, told, events, "each is told or counted, once")
}

func TestAFloodToAFailingDestinationGathers(t *testing.T) {
	w := newWorld(t)
	d := w.create(func(n *notifications.NewDestination) { n.RatePerMinute = 6000 })
	w.sender.answer = fails(503)
	for range 100 { // 200 seconds
		w.tell(1, models.Event{})
		w.plan()
		for _, delivery := range w.all(notifications.Filter{State: models.DeliveryPending}) {
			w.deliver(delivery.ID)
		}
	}
	require.LessOrEqual(t, len(w.all(notifications.Filter{Destination: string(d.ID)})), 200/20+1)
	require.NotNil(t, w.find(d).FailingSince)
}
