package notifications_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/notifications"
)

// delivery is one that is planned for a new destination.
func (w *world) delivery() (models.Destination, models.Delivery) {
	w.t.Helper()
	d := w.create()
	w.tell(1, models.Event{}, d.ID)
	w.plan()
	return d, w.only(d)
}

func TestADeliveryIsMadeAndRecorded(t *testing.T) {
	w := newWorld(t)
	_, delivery := w.delivery()
	require.Zero(t, w.deliver(delivery.ID))
	view := w.view(delivery.ID)
	require.Equal(t, models.DeliveryDelivered, view.Delivery.State)
	require.Equal(t, w.clock(), *view.Delivery.FinishedAt)
	require.Nil(t, view.Delivery.NextAt)
	require.Len(t, view.Attempts, 1)
	require.Equal(t, models.DeliveryAttempt{
		DeliveryID: delivery.ID, Number: 1, DestinationID: delivery.DestinationID, At: w.clock(), DoneAt: ptr(w.clock()),
		Delivered: true, Status: 204, Request: "POST",
	}, view.Attempts[0])
	require.Equal(t, delivery.Message, w.sender.calls[0].message)

	require.Zero(t, w.deliver(delivery.ID), "again, it is done")
	require.Zero(t, w.deliver(models.NewID[models.DeliveryID]()), "of one that is gone, too")
	require.Len(t, w.sender.calls, 1)
	_, err := w.Deliver(t.Context(), "no id")
	require.Error(t, err)
}

func TestRunsAtTheSameTimeSendOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		_, delivery := w.delivery()
		started, release := make(chan struct{}), make(chan struct{})
		w.sender.answer = func(call) models.Sent {
			close(started) // a second call would panic
			<-release
			return models.Sent{Delivered: true, Status: 200}
		}
		first := make(chan error, 1)
		go func() {
			_, err := w.Deliver(t.Context(), string(delivery.ID))
			first <- err
		}()
		<-started
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				again, err := w.Deliver(t.Context(), string(delivery.ID))
				if err != nil || again != 30*time.Second {
					t.Errorf("again in %s: %v", again, err)
				}
			})
		}
		wg.Wait()
		close(release)
		require.NoError(t, <-first)
		require.Zero(t, w.deliver(delivery.ID))
		require.Len(t, w.sender.calls, 1)
		require.Len(t, w.view(delivery.ID).Attempts, 1)
	})
}

func TestRunsThatBeginTogetherSendOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		_, delivery := w.delivery()
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if _, err := w.Deliver(t.Context(), string(delivery.ID)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Len(t, w.sender.calls, 1)
	})
}

func TestFailuresAreTriedAgainAtTheirTimes(t *testing.T) {
	delays := []time.Duration{
		5 * time.Second, 15 * time.Second, 45 * time.Second, 2*time.Minute + 15*time.Second, 6*time.Minute + 45*time.Second,
		20 * time.Minute, time.Hour, 3 * time.Hour, 9 * time.Hour, 24 * time.Hour,
	}
	for name, row := range map[string]struct{ random, factor float64 }{
		"soonest": {0, 0.8}, "in the middle": {0.5, 1}, "latest": {1, 1.2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.random, w.sender.answer = row.random, fails(500)
			_, delivery := w.delivery()
			for i, delay := range delays {
				want := time.Duration(float64(delay) * row.factor)
				require.InDelta(t, want, w.deliver(delivery.ID), float64(time.Microsecond), "after attempt %d", i+1)
				view := w.view(delivery.ID)
				require.Equal(t, models.DeliveryPending, view.Delivery.State)
				require.Len(t, view.Attempts, i+1)
				w.advance(want - time.Second)
				require.InDelta(t, time.Second, w.deliver(delivery.ID), float64(time.Microsecond), "too early")
				w.advance(time.Second)
			}
			require.Zero(t, w.deliver(delivery.ID))
			view := w.view(delivery.ID)
			require.Equal(t, models.DeliveryFailed, view.Delivery.State)
			require.Len(t, view.Attempts, notifications.MaxAttempts)
			require.Equal(t, "HTTP 500", view.Attempts[10].Error)
			for _, c := range w.sender.calls {
				require.Equal(t, delivery.Message, c.message, "the same message, by the same id, each time")
			}
		})
	}
}

func TestTheReceiverMayAskForMoreTime(t *testing.T) {
	for name, row := range map[string]struct{ asked, want time.Duration }{
		"less than our own": {time.Second, 5 * time.Second}, "more": {time.Minute, time.Minute},
		"too much": {1000 * time.Hour, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sender.answer = func(call) models.Sent { return models.Sent{Status: 429, RetryAfter: row.asked} }
			_, delivery := w.delivery()
			require.Equal(t, row.want, w.deliver(delivery.ID))
		})
	}
}

func TestWhatIsHopelessIsNotTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = func(call) models.Sent { return models.Sent{Hopeless: true, Error: "no such host"} }
	d, delivery := w.delivery()
	require.Zero(t, w.deliver(delivery.ID))
	require.Equal(t, models.DeliveryFailed, w.view(delivery.ID).Delivery.State)
	require.NotNil(t, w.find(d).FailingSince)

	owner := w.owner("nobody@example.com")
	email := w.create(func(n *notifications.NewDestination) { n.Type, n.URL, n.ToOwner = models.DestinationEmail, "", true })
	w.tell(1, models.Event{Type: models.EventOwnerQuota, Severity: models.SeverityInfo, OwnerID: owner.ID}, email.ID)
	w.plan()
	require.Zero(t, w.deliver(w.only(email).ID))
	require.Nil(t, w.find(email).FailingSince, "one address says nothing of the others")
}

func TestAReceiverThatIsGoneIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	d, delivery := w.delivery()
	other := w.create(func(n *notifications.NewDestination) { n.Name = "other" })
	w.sender.answer = fails(503)
	w.deliver(delivery.ID) // it waits
	w.tell(1, models.Event{}, d.ID)
	w.plan()
	w.advance(time.Minute)
	w.sender.answer = func(call) models.Sent { return models.Sent{Status: 410, Gone: true, Error: "HTTP 410"} }
	made := w.changes.During(func() { require.Zero(t, w.deliver(delivery.ID)) })
	require.Len(t, made, 1)
	require.Equal(t, "destination.disable", made[0].Action)
	require.Equal(t, models.DeliveryFailed, w.view(delivery.ID).Delivery.State)
	gone := w.find(d)
	require.NotNil(t, gone.DisabledAt)
	require.Contains(t, gone.DisabledReason, "410")
	canceled := w.all(notifications.Filter{Destination: string(d.ID), State: models.DeliveryCanceled})
	require.Len(t, canceled, 1)
	calls := len(w.sender.calls)
	require.Zero(t, w.deliver(canceled[0].ID))
	require.Len(t, w.sender.calls, calls)

	w.plan()
	told := w.only(other)
	require.Equal(t, models.EventDestinationDisabled, told.Message.Events[0].Type)
	require.Contains(t, told.Message.Events[0].Title, d.Name)
	require.Contains(t, told.Message.Events[0].Text, "1 deliveries to it are canceled")
	require.Len(t, w.all(notifications.Filter{Destination: string(d.ID)}), 2, "it is told no more")

	enabled, err := w.Enable(t.Context(), string(d.ID))
	require.NoError(t, err)
	require.Nil(t, enabled.DisabledAt)
	require.Nil(t, enabled.FailingSince)
	require.Empty(t, enabled.DisabledReason)
}

func TestADestinationThatFailsForTooLongIsDisabled(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = fails(500)
	d, delivery := w.delivery()
	began := w.clock()
	w.deliver(delivery.ID)
	require.Equal(t, began, *w.find(d).FailingSince)
	try := func() {
		w.tell(1, models.Event{}, d.ID)
		w.plan()
		w.advance(20 * time.Second)
		for _, pending := range w.all(notifications.Filter{Destination: string(d.ID), State: models.DeliveryPending}) {
			if pending.Attempts == 0 {
				w.deliver(pending.ID)
			}
		}
	}
	w.advance(71 * time.Hour)
	try()
	require.Equal(t, began, *w.find(d).FailingSince, "since the first failure")
	require.Nil(t, w.find(d).DisabledAt)
	w.advance(time.Hour)
	try()
	require.NotNil(t, w.find(d).DisabledAt)
	require.Contains(t, w.find(d).DisabledReason, "since 2026-03-29T12:00:02Z")
	require.Empty(t, w.all(notifications.Filter{Destination: string(d.ID), State: models.DeliveryPending}))
}

func TestASuccessEndsTheRunOfFailures(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = fails(500)
	d, delivery := w.delivery()
	w.deliver(delivery.ID)
	version := w.find(d).Version
	w.sender.answer = func(call) models.Sent { return models.Sent{Delivered: true} }
	w.advance(time.Hour)
	require.Zero(t, w.deliver(delivery.ID))
	require.Nil(t, w.find(d).FailingSince)
	require.Equal(t, version, w.find(d).Version)
}

func TestTheRateOfADestinationMakesWaitWithoutCounting(t *testing.T) {
	w := newWorld(t)
	d := w.create(func(n *notifications.NewDestination) { n.RatePerMinute = 2 })
	for range 2 {
		w.tell(1, models.Event{}, d.ID)
		w.plan()
		require.Zero(t, w.deliver(w.all(notifications.Filter{State: models.DeliveryPending})[0].ID))
		w.advance(8 * time.Second)
	}
	w.tell(1, models.Event{}, d.ID)
	w.plan()
	third := w.all(notifications.Filter{State: models.DeliveryPending})[0]
	// The first of the two was 10 s + 8 s + 2 s ago.
	require.Equal(t, 40*time.Second, w.deliver(third.ID))
	require.Zero(t, w.view(third.ID).Delivery.Attempts)
	require.Equal(t, w.clock().Add(40*time.Second), *w.view(third.ID).Delivery.NextAt)
	w.advance(40 * time.Second)
	require.Zero(t, w.deliver(third.ID))
	require.Equal(t, models.DeliveryDelivered, w.view(third.ID).Delivery.State)
}

func TestAnAttemptThatNobodyEndsIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	_, delivery := w.delivery()
	crash := func() {
		w.sender.answer = func(call) models.Sent { panic("the program ends here") }
		require.Panics(t, func() { _, _ = w.Deliver(t.Context(), string(delivery.ID)) })
		require.Equal(t, 30*time.Second, w.deliver(delivery.ID))
		w.advance(30 * time.Second)
	}
	crash()
	w.sender.answer = func(call) models.Sent { return models.Sent{Delivered: true} }
	require.Zero(t, w.deliver(delivery.ID))
	view := w.view(delivery.ID)
	require.Equal(t, models.DeliveryDelivered, view.Delivery.State)
	require.Len(t, view.Attempts, 2)
	require.Contains(t, view.Attempts[0].Error, "stopped before it knew")
	require.Equal(t, w.sender.calls[0].message, w.sender.calls[1].message)

	_, delivery = w.delivery()
	for range notifications.MaxAttempts {
		crash()
	}
	calls := len(w.sender.calls)
	require.Zero(t, w.deliver(delivery.ID))
	require.Equal(t, models.DeliveryFailed, w.view(delivery.ID).Delivery.State, "a message that ends programs ends")
	require.Len(t, w.sender.calls, calls)
}

func TestAnAttemptThatOurOwnEndCutShortIsNoFailureOfTheReceiver(t *testing.T) {
	w := newWorld(t)
	d, delivery := w.delivery()
	ctx, cancel := context.WithCancel(t.Context())
	w.sender.answer = func(call) models.Sent {
		cancel()
		return models.Sent{Error: "canceled"}
	}
	again, err := w.Deliver(ctx, string(delivery.ID))
	require.NoError(t, err)
	require.Equal(t, time.Second, again)
	require.Nil(t, w.find(d).FailingSince)
	w.sender.answer = func(call) models.Sent { return models.Sent{Delivered: true} }
	require.Zero(t, w.deliver(delivery.ID))
	require.Equal(t, models.DeliveryDelivered, w.view(delivery.ID).Delivery.State)
}

func TestOneWhoIsLateDoesNotUndoWhatOthersDid(t *testing.T) {
	w := newWorld(t)
	_, delivery := w.delivery()
	w.sender.answer = func(c call) models.Sent {
		if c.number > 1 {
			return models.Sent{Delivered: true}
		}
		w.advance(31 * time.Second) // longer than it may take
		require.Zero(t, w.deliver(delivery.ID))
		return models.Sent{Error: "too late"}
	}
	require.Zero(t, w.deliver(delivery.ID))
	view := w.view(delivery.ID)
	require.Equal(t, models.DeliveryDelivered, view.Delivery.State)
	require.Len(t, view.Attempts, 2)
	require.Equal(t, "too late", view.Attempts[0].Error)
}

func TestWhatBecameOfADestinationDecidesWhatWaits(t *testing.T) {
	w := newWorld(t)
	d, delivery := w.delivery()
	_, err := w.Disable(t.Context(), d.Name, "on holiday")
	require.NoError(t, err)
	require.Equal(t, models.DeliveryCanceled, w.view(delivery.ID).Delivery.State)
	require.Zero(t, w.deliver(delivery.ID))

	d, delivery = w.delivery()
	require.NoError(t, w.Delete(t.Context(), d.Name))
	require.Equal(t, models.DeliveryCanceled, w.view(delivery.ID).Delivery.State)
	require.Zero(t, w.deliver(delivery.ID))
	require.Empty(t, w.sender.calls)

	// It was disabled while something was on its way there, and came.
	d, delivery = w.delivery()
	w.sender.answer = func(call) models.Sent {
		_, err := w.Disable(t.Context(), d.Name, "")
		require.NoError(t, err)
		return models.Sent{Delivered: true}
	}
	require.Zero(t, w.deliver(delivery.ID))
	require.Equal(t, models.DeliveryDelivered, w.view(delivery.ID).Delivery.State)
}
