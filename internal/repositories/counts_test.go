package repositories_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

func TestDeliveriesAlertsAndDestinationsAreCounted(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		counts := repositories.NewCounts(s.db)
		deliveries, destinations, alerts := repositories.NewDeliveries(s.db), repositories.NewDestinations(s.db), repositories.NewAlerts(s.db)
		now := time.Now().UTC().Truncate(time.Microsecond)

		list := []models.Delivery{someDelivery(models.NewID[models.DestinationID]())}
		for _, ended := range []struct {
			state models.DeliveryState
			ago   time.Duration
		}{
			{models.DeliveryDelivered, time.Minute}, {models.DeliveryDelivered, 59 * time.Minute}, {models.DeliveryFailed, time.Second},
			{models.DeliveryDelivered, 61 * time.Minute}, {models.DeliveryCanceled, 48 * time.Hour},
		} {
			d := someDelivery(list[0].DestinationID)
			d.Finish(ended.state, now.Add(-ended.ago))
			list = append(list, d)
		}
		require.NoError(t, deliveries.CreateMany(t.Context(), list))
		got, err := counts.Deliveries(t.Context())
		require.NoError(t, err)
		require.ElementsMatch(t, []repositories.Count{
			{State: "pending", Rows: 1}, {State: "delivered", Rows: 2}, {State: "failed", Rows: 1},
		}, got)

		for i, change := range []func(d *models.Destination){
			func(*models.Destination) {}, func(d *models.Destination) { d.FailingSince = &now },
			func(d *models.Destination) { d.FailingSince, d.DisabledAt = &now, &now },
			func(d *models.Destination) { d.Type, d.URL = models.DestinationSlack, "https://example.com/slack" },
		} {
			d := someDestination(fmt.Sprint("d", i))
			change(&d)
			require.NoError(t, destinations.Create(t.Context(), &d))
		}
		got, err = counts.Destinations(t.Context())
		require.NoError(t, err)
		require.ElementsMatch(t, []repositories.Count{
			{Kind: "webhook", State: "active", Rows: 1}, {Kind: "webhook", State: "failing", Rows: 1},
			{Kind: "webhook", State: "disabled", Rows: 1}, {Kind: "slack", State: "active", Rows: 1},
		}, got)

		rule := newAlertRule("r", now)
		rule.For = 0
		var opened []models.Alert
		for i := range 3 {
			opened = append(opened, *models.NewAlert(&rule, &models.AlertCause{Subject: fmt.Sprint("system:", i)}, now))
		}
		require.NoError(t, opened[1].Resolve("ann", "for now", now))
		opened[2].Live = false
		require.NoError(t, alerts.Create(t.Context(), opened))
		got, err = counts.Alerts(t.Context())
		require.NoError(t, err)
		require.Equal(t, []repositories.Count{{Kind: string(rule.Kind), State: "active", Rows: 1}}, got)
	})
}

func TestCountsAreFoundAlongIndexes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		counts, now := repositories.NewCounts(s.db), time.Now().UTC().Truncate(time.Microsecond)
		list := make([]models.Delivery, 6000)
		for i := range list {
			list[i] = someDelivery(models.NewID[models.DestinationID]())
			list[i].Finish(models.DeliveryDelivered, now.Add(-time.Duration(i)*time.Minute))
		}
		require.NoError(t, repositories.NewDeliveries(s.db).CreateMany(t.Context(), list))
		rule := newAlertRule("r", now)
		alerts := make([]models.Alert, 3000)
		for i := range alerts {
			alerts[i] = *models.NewAlert(&rule, &models.AlertCause{Subject: fmt.Sprint("system:", i)}, now)
			alerts[i].Live = i == 0
		}
		require.NoError(t, repositories.NewAlerts(s.db).Create(t.Context(), alerts))
		_, err := repositories.Pool(s.db).ExecContext(t.Context(), "ANALYZE")
		require.NoError(t, err)
		var plans []string
		repositories.Explain(s.db, func(plan string) { plans = append(plans, plan) })
		_, err = counts.Deliveries(t.Context())
		require.NoError(t, err)
		_, err = counts.Alerts(t.Context())
		require.NoError(t, err)
		require.Len(t, plans, 2)
		require.Regexp(t, "deliveries_(pending|state)_idx", plans[0])
		require.Contains(t, plans[0], "deliveries_finished_at_idx")
		require.Regexp(t, "alerts_(live_idx|fingerprint_key)", plans[1])
	})
}
