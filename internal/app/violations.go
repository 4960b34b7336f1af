package app

import (
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/audit"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/internal/services/violations"
)

const (
	// outreachEvery and expireEvery are how often is looked without being asked.
	outreachEvery = time.Minute
	expireEvery   = 10 * time.Second
	// lookTimeout is longer than a run takes, of which each is bounded.
	lookTimeout = 2 * time.Minute
)

// newKeys joins keys to the engines.
func newKeys(cfg *config.Config, e *engines, changes *changes) *keys.Service {
	store, keyspaces := repositories.NewKeys(e.db), repositories.NewKeyspaces(e.db)
	return keys.New(keys.Deps{
		Store: store, Lists: store, Secrets: store, Keyspaces: keyspaces, KeyspaceStore: keyspaces,
		Owners: repositories.NewOwners(e.db), Plans: repositories.NewPlans(e.db), Usage: repositories.NewActivity(e.db),
		Limits: resetting{e.limits, repositories.NewQuotas(e.db)}, Changes: changes, Peppers: peppersOf(cfg),
		DefaultPlan: cfg.Plans.Default, DefaultPrefix: cfg.Keys.DefaultPrefix, Now: clock,
	})
}

// violationKinds are the jobs that look at refusals, tell owners of their quotas,
// and end keys. They are made for every process that runs jobs, whether or not
// it has a cache of keys: nodes read of their changes in the database.
func violationKinds(cfg *config.Config, e *engines, log *zap.Logger) []queue.Kind {
	changes := &changes{
		db: e.db, audit: audit.New(repositories.NewAudit(e.db), clock), invalidations: repositories.NewInvalidations(e.db), log: log,
	}
	keyService, keyStore := newKeys(cfg, e, changes), repositories.NewKeys(e.db)
	looking := newViolations(cfg, e.db, keyService, changes)
	return []queue.Kind{
		{
			Name: models.JobRateLimitExceeded, Queue: queue.Default, Timeout: lookTimeout, MaxRetries: queue.DefaultRetries,
			Handle: looking.Exceeded,
		},
		{
			Name: models.JobSecurityAnalyze, Queue: queue.Critical, Timeout: lookTimeout, MaxRetries: queue.DefaultRetries,
			Handle: looking.Analyze,
		},
		{
			Name: models.JobCustomerOutreach, Queue: queue.Default, Every: outreachEvery, Timeout: lookTimeout, MaxRetries: queue.DefaultRetries,
			Handle: looking.Outreach,
		},
		{
			Name: models.JobKeyExpire, Queue: queue.Default, Every: expireEvery, Timeout: lookTimeout, MaxRetries: queue.DefaultRetries,
			Handle: keys.NewExpirer(keyService, keyStore, repositories.NewNotices(e.db)).Expire,
		},
	}
}

// newViolations makes what looks at refusals by limits. Keys that it suspends
// are suspended as by anybody else, in the same transaction as it records why.
func newViolations(cfg *config.Config, db *repositories.DB, suspender *keys.Service, changes *changes) *violations.Service {
	keyStore := repositories.NewKeys(db)
	return violations.New(violations.Deps{
		Store: repositories.NewViolations(db), Episodes: repositories.NewEpisodes(db), Quotas: repositories.NewQuotas(db),
		Keys: keyStore, Suspender: suspender, Owners: repositories.NewOwners(db), Jobs: repositories.NewJobs(db),
		Notices: repositories.NewNotices(db), Transactions: changes, Now: clock,
		Options: violations.Options{
			Key: threshold(cfg.Abuse.Key), Owner: threshold(config.AbuseKey(cfg.Abuse.Owner)), IP: threshold(config.AbuseKey(cfg.Abuse.IP)),
			Outreach: violations.Outreach{Enabled: cfg.Outreach.Enabled, Percents: percents(cfg.Outreach.Thresholds)},
		},
	})
}

func threshold(a config.AbuseKey) violations.Threshold {
	t := violations.Threshold{Denials: a.Denials, Window: a.Window}
	if a.Action == "suspend" {
		t.SuspendFor = a.SuspendFor
	}
	return t
}

// percents reads whole numbers, which the configuration was checked to have.
func percents(list []string) []int {
	var numbers []int
	for _, text := range list {
		n, err := strconv.Atoi(text)
		if err != nil {
			panic("app: outreach.thresholds: " + err.Error())
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}
