package app

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/alerts"
	"github.com/viva/rate-limiter/internal/services/audit"
)

// Alerts are checked so often, whether or not anything asks for it.
const (
	alertEvery   = 15 * time.Second
	alertTimeout = 2 * time.Minute
	// alertsKeep is how long it can be seen what alerts there were.
	alertsKeep = 400 * 24 * time.Hour
)

// newAlerts joins rules and alerts to the database. It is made for every
// process: those with an API let people change them.
func newAlerts(db *repositories.DB, log *zap.Logger) *alerts.Service {
	return alerts.New(alerts.Deps{
		Rules: repositories.NewAlertRules(db), Alerts: repositories.NewAlerts(db), Windows: repositories.NewMaintenanceWindows(db),
		Causes: repositories.NewAlertCauses(db), Notices: repositories.NewNotices(db), Streams: repositories.NewStreams(db),
		Owners: repositories.NewOwners(db), Keys: repositories.NewKeys(db), Plans: repositories.NewPlans(db),
		Changes: &changes{
			db: db, audit: audit.New(repositories.NewAudit(db), clock), invalidations: repositories.NewInvalidations(db), log: log,
		},
		Now: clock,
	})
}

// alertKinds are the jobs that look for what people are to be alerted of.
func alertKinds(s *alerts.Service) []queue.Kind {
	return []queue.Kind{
		{
			Name: models.JobAlertCheck, Queue: queue.Critical, Every: alertEvery, Timeout: alertTimeout, MaxRetries: queue.DefaultRetries,
			Handle: s.Check,
		},
		{
			Name: models.JobAlertRetention, Queue: queue.Low, Every: time.Hour, Timeout: upkeepTimeout, MaxRetries: queue.DefaultRetries,
			Handle: queue.Whole(func(ctx context.Context) error { return s.Prune(ctx, alertsKeep) }),
		},
	}
}
