package app

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/metrics"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/repositories"
)

var (
	destinationTypes  = []models.DestinationType{models.DestinationWebhook, models.DestinationSlack, models.DestinationEmail}
	destinationStates = []string{"active", "failing", "disabled"}
	deliveryStates    = []models.DeliveryState{
		models.DeliveryPending, models.DeliveryDelivered, models.DeliveryFailed, models.DeliveryCanceled,
	}
	alertStates = []models.AlertState{
		models.AlertPending, models.AlertActive, models.AlertAcknowledged, models.AlertSuppressed,
	}
)

// whole tells how all processes together are. Each source is asked apart, at the
// same time: one that is slow holds up none of the others.
func (m *instruments) whole(cfg *config.Config, e *engines, kinds []queue.Kind) {
	names := make([]models.JobKind, len(kinds))
	for i := range kinds {
		names[i] = kinds[i].Name
	}
	m.Add(metrics.NewJobs(newJobs(cfg, e, nil).Overview, names), metrics.JobsMetrics...)
	m.Add(streamsSource(repositories.NewStreams(e.db)), metrics.UndrainedStreams, metrics.UsageCompleteAge)
	counts := repositories.NewCounts(e.db)
	m.Add(countsSource(metrics.Deliveries, counts.Deliveries, zeros([]string{""}, deliveryStates)), metrics.Deliveries)
	m.Add(countsSource(metrics.Destinations, counts.Destinations, zeros(destinationTypes, destinationStates)), metrics.Destinations)
	m.Add(countsSource(metrics.Alerts, counts.Alerts, zeros(models.AlertKinds, alertStates)), metrics.Alerts)
}

// silent is after how long without a sign of life a stream counts as left alone.
const silent = time.Minute

// streamsSource tells how far the journals of all processes are in the database.
func streamsSource(streams repositories.Streams) metrics.Source {
	return func(ctx context.Context, tell metrics.Tell) {
		open, err := streams.List(ctx)
		if err != nil {
			return // viva_dependency_up tells of it
		}
		now := clock()
		complete, alone := now, 0
		for i := range open {
			s := &open[i]
			until := s.Watermark
			if until.IsZero() {
				until = s.CreatedAt // nothing is told of it yet
			}
			if until.Before(complete) {
				complete = until
			}
			if now.Sub(s.UpdatedAt) > silent {
				alone++
			}
		}
		tell(metrics.UndrainedStreams, float64(alone))
		tell(metrics.UsageCompleteAge, now.Sub(complete).Seconds())
	}
}

// zeros are counts of 0 for every kind and state, so that what is not there is
// told of.
func zeros[K, S ~string](kinds []K, states []S) (list []repositories.Count) {
	for _, kind := range kinds {
		for _, state := range states {
			list = append(list, repositories.Count{Kind: string(kind), State: string(state)})
		}
	}
	return list
}

// countsSource tells counts of rows by kind and state, or by state alone where
// the kind is empty.
func countsSource(m *metrics.Metric, count func(context.Context) ([]repositories.Count, error), zeros []repositories.Count) metrics.Source {
	return func(ctx context.Context, tell metrics.Tell) {
		counts, err := count(ctx)
		if err != nil {
			return // viva_dependency_up tells of it
		}
		rows := make(map[[2]string]int64, len(zeros))
		for _, c := range append(zeros[:len(zeros):len(zeros)], counts...) {
			rows[[2]string{c.Kind, c.State}] += c.Rows
		}
		for of, n := range rows {
			if of[0] == "" {
				tell(m, float64(n), of[1])
			} else {
				tell(m, float64(n), of[0], of[1])
			}
		}
	}
}
