package app

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/notify"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/audit"
	"github.com/viva/rate-limiter/internal/services/notifications"
)

const (
	// deliveriesKeep is how long it can be seen what was sent.
	deliveriesKeep = 30 * 24 * time.Hour
	// planTimeout and deliverTimeout are longer than planning and an attempt last
	// by themselves.
	planTimeout    = time.Minute
	deliverTimeout = 45 * time.Second
)

// newNotifications joins what tells people and programs of events to the
// database and to the world outside. It is made for every process: those with an
// API send tests.
func newNotifications(cfg *config.Config, version string, db *repositories.DB, l *lifecycle, m *instruments, t traces, log *zap.Logger) *notifications.Service {
	c := cfg.Notify
	sender := notify.New(notify.Options{
		Version: version, AllowNetworks: c.AllowNetworks, AllowHTTP: c.AllowHTTP, Now: time.Now,
		SMTP: notify.SMTP{
			Addr: c.SMTP.Addr, Username: c.SMTP.Username, Password: string(c.SMTP.Password), From: c.SMTP.From, TLS: c.SMTP.TLS,
		},
	})
	var missing string
	if c.SMTP.Addr == "" {
		missing = "notify.smtp.addr"
	}
	l.opened("notifications", func() error { sender.Close(); return nil })
	return notifications.New(notifications.Deps{
		Destinations: repositories.NewDestinations(db), Deliveries: repositories.NewDeliveries(db), Notices: repositories.NewNotices(db),
		Owners: repositories.NewOwners(db), Jobs: repositories.NewJobs(db),
		Changes: &changes{
			db: db, audit: audit.New(repositories.NewAudit(db), clock), invalidations: repositories.NewInvalidations(db), log: log,
		},
		Sender: t.sending(sender), Checker: sender, EmailMissing: missing,
		GroupWait: c.GroupWait, DisableAfter: c.DisableAfter, Now: clock, Random: rand.Float64, OnAttempt: m.attempts(),
	})
}

// notificationKinds are the jobs that tell people and programs of events.
func notificationKinds(s *notifications.Service) []queue.Kind {
	return []queue.Kind{
		{
			Name: models.JobNotifyPlan, Queue: queue.Critical, Timeout: planTimeout, MaxRetries: queue.DefaultRetries, Handle: s.Plan,
		},
		{
			Name: models.JobNotifyDeliver, Queue: queue.Critical, Timeout: deliverTimeout, MaxRetries: queue.DefaultRetries, Handle: s.Deliver,
		},
		{
			Name: models.JobNotifyRetention, Queue: queue.Low, Every: time.Hour, Timeout: upkeepTimeout, MaxRetries: queue.DefaultRetries,
			Handle: queue.Whole(func(ctx context.Context) error {
				_, err := s.Prune(ctx, clock().Add(-deliveriesKeep))
				return err
			}),
		},
	}
}
