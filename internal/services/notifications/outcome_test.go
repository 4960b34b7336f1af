package notifications_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/notifications"
)

func TestItIsToldHowAttemptsEnd(t *testing.T) {
	w := newWorld(t)
	var outcomes []notifications.Outcome
	w.OnAttempt = func(to models.DestinationType, outcome notifications.Outcome, took time.Duration) {
		require.Equal(t, models.DestinationWebhook, to)
		require.Equal(t, 2*time.Second, took)
		outcomes = append(outcomes, outcome)
	}
	answer := func(sent models.Sent) {
		w.sender.answer = func(call) models.Sent {
			w.advance(2 * time.Second)
			return sent
		}
	}
	_, delivery := w.delivery()
	answer(models.Sent{Status: 503, Error: "HTTP 503"})
	w.advance(w.deliver(delivery.ID))
	answer(models.Sent{Delivered: true, Status: 204})
	require.Zero(t, w.deliver(delivery.ID))
	_, hopeless := w.delivery()
	answer(models.Sent{Status: 410, Error: "HTTP 410", Gone: true})
	require.Zero(t, w.deliver(hopeless.ID))
	require.Zero(t, w.deliver(hopeless.ID), "no attempt, nothing to tell")
	require.Equal(t, []notifications.Outcome{notifications.Retry, notifications.Delivered, notifications.Failed}, outcomes)
}
