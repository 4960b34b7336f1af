// Package alerts finds what people are to be alerted of, and keeps what became
// of it: rules, alerts with their lives, and the times in which none are told.
//
// A rule finds causes; of each there is one alert at a time, whoever looks and
// however often. What is told of it is written as a notice in the transaction
// that makes it true.
//
// Floor F2. It may import models and the packages of floor F0.
package alerts

import (
	"context"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// RuleStore keeps rules. A ref is an id or a name. Whoever has locked a rule has
// its alerts to itself: checks, changes of the rule and people lock it first.
type RuleStore interface {
	Create(ctx context.Context, rule *models.AlertRule) error
	Find(ctx context.Context, ref string) (*models.AlertRule, error)
	FindMany(ctx context.Context, ids []models.AlertRuleID) (map[models.AlertRuleID]models.AlertRule, error)
	Lock(ctx context.Context, ref string) (*models.AlertRule, error)
	List(ctx context.Context, page models.Page) ([]models.AlertRule, error)
	Enabled(ctx context.Context) ([]models.AlertRuleID, error)
	Update(ctx context.Context, rule *models.AlertRule) error
	SetProgress(ctx context.Context, rule *models.AlertRule) error
	Delete(ctx context.Context, id models.AlertRuleID) error
}

// AlertStore keeps alerts.
type AlertStore interface {
	Find(ctx context.Context, id models.AlertID) (*models.Alert, error)
	Lock(ctx context.Context, id models.AlertID) (*models.Alert, error)
	Live(ctx context.Context, rule models.AlertRuleID) ([]models.Alert, error)
	List(ctx context.Context, filter models.AlertListFilter, page models.Page) ([]models.Alert, error)
	Create(ctx context.Context, alerts []models.Alert) error
	Update(ctx context.Context, alert *models.Alert) error
	Forget(ctx context.Context, ids []models.AlertID) error
	Prune(ctx context.Context, before time.Time) error
}

// WindowStore keeps maintenance windows.
type WindowStore interface {
	Create(ctx context.Context, window *models.MaintenanceWindow) error
	Find(ctx context.Context, id models.MaintenanceID) (*models.MaintenanceWindow, error)
	Lock(ctx context.Context, id models.MaintenanceID) (*models.MaintenanceWindow, error)
	List(ctx context.Context, page models.Page) ([]models.MaintenanceWindow, error)
	Open(ctx context.Context, at time.Time) ([]models.MaintenanceWindow, error)
	Update(ctx context.Context, window *models.MaintenanceWindow) error
	Delete(ctx context.Context, id models.MaintenanceID) error
}

// Causes finds what rules look for, now and in the past. Ranges include the
// minute, bucket or hour that they end with.
type Causes interface {
	Quotas(ctx context.Context, hundredths int64, rule string, key *models.KeyID, at time.Time) ([]models.QuotaUse, error)
	QuotasDuring(ctx context.Context, hundredths int64, rule string, key *models.KeyID, from, to time.Time, limit int) ([]models.QuotaUse, error)
	Violations(ctx context.Context, per models.AlertPer, f models.AlertFilter, least int64, from, to time.Time) ([]models.AlertSum, error)
	ViolationsByMinute(ctx context.Context, per models.AlertPer, f models.AlertFilter, from, to time.Time, limit int) ([]models.AlertSum, error)
	Errors(ctx context.Context, p *models.AlertParams, f models.AlertFilter, from, to time.Time) ([]models.AlertSum, error)
	ErrorsByBucket(ctx context.Context, p *models.AlertParams, f models.AlertFilter, from, to time.Time, limit int) ([]models.AlertSum, error)
	Surges(ctx context.Context, p *models.AlertParams, f models.AlertFilter, hour time.Time, past []time.Time) ([]models.AlertSum, error)
	Slumps(ctx context.Context, p *models.AlertParams, f models.AlertFilter, hour time.Time, past []time.Time) ([]models.AlertSum, error)
	UnitsByHour(ctx context.Context, per models.AlertPer, f models.AlertFilter, from, to time.Time, limit int) ([]models.AlertSum, error)
	UnitsByBucket(ctx context.Context, per models.AlertPer, ids []string, from, to time.Time, limit int) ([]models.AlertSum, error)
	Jobs(ctx context.Context) (int64, error)
	Losses(ctx context.Context, since time.Time) (int64, error)
	Disabled(ctx context.Context) (int64, error)
	Missing(ctx context.Context, ids []models.DestinationID) ([]models.DestinationID, error)
}

// Notices keeps what is to be told.
type Notices interface {
	Add(ctx context.Context, notices ...models.Notice) error
}

// Streams tells of the journals that more may come from.
type Streams interface {
	List(ctx context.Context) ([]models.IngestCursor, error)
}

// Owners finds owners. A ref is an id or an external id.
type Owners interface {
	Find(ctx context.Context, ref string) (*models.Owner, error)
	FindMany(ctx context.Context, ids []models.OwnerID) (map[models.OwnerID]models.Owner, error)
}

// Keys finds keys.
type Keys interface {
	Find(ctx context.Context, id models.KeyID) (*models.APIKey, error)
	FindMany(ctx context.Context, ids []models.KeyID) (map[models.KeyID]models.APIKey, error)
}

// Plans finds plans. A ref is an id or a name.
type Plans interface {
	Find(ctx context.Context, ref string) (*models.Plan, error)
}

// Changes makes a change durable in one transaction with its audit row.
type Changes interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
	Record(ctx context.Context, changes ...models.Change) error
}

// Deps is what the service is made of; all of it is needed.
type Deps struct {
	Rules   RuleStore
	Alerts  AlertStore
	Windows WindowStore
	Causes  Causes
	Notices Notices
	Streams Streams
	Owners  Owners
	Keys    Keys
	Plans   Plans
	Changes Changes
	Now     func() time.Time
}

// Service keeps rules and alerts. It is safe for concurrent use, in any number
// of processes.
type Service struct{ Deps }

// New makes the service.
func New(deps Deps) *Service { return &Service{deps} }

// Filter narrows a list of alerts; zero fields match all.
type Filter struct {
	State    models.AlertState
	Rule     string // id or name
	Owner    string // id or external id
	Key      string // id
	Severity models.Severity
	Since    time.Time // opened then or later; zero is any
}

// List gives a page of the alerts that match, newest first. Pending ones are
// listed only where they are asked for.
func (s *Service) List(ctx context.Context, f Filter, page models.Page) ([]models.Alert, error) {
	filter := models.AlertListFilter{State: f.State, Severity: f.Severity, Since: f.Since}
	if f.Rule != "" {
		// Alerts outlive their rules, whose ids go on naming them.
		if id, err := models.ParseID[models.AlertRuleID](f.Rule); err == nil {
			filter.RuleID = id
		} else {
			rule, err := s.Rules.Find(ctx, f.Rule)
			if err != nil {
				return nil, models.MissingRef(err, apierror.Query, "rule", "alert rule")
			}
			filter.RuleID = rule.ID
		}
	}
	if f.Owner != "" {
		owner, err := s.Owners.Find(ctx, f.Owner)
		if err != nil {
			return nil, models.MissingRef(err, apierror.Query, "owner", "owner")
		}
		filter.OwnerID = owner.ID
	}
	if f.Key != "" {
		id, err := models.ParseID[models.KeyID](f.Key)
		if err != nil {
			return nil, apierror.Invalid(apierror.Field{In: apierror.Query, Name: "key", Detail: "must be the id of a key"})
		}
		filter.KeyID = id
	}
	return s.Alerts.List(ctx, filter, page)
}

// Find gives an alert.
func (s *Service) Find(ctx context.Context, id models.AlertID) (*models.Alert, error) {
	return s.Alerts.Find(ctx, id)
}

// Prune erases alerts that have been resolved for longer than keep.
func (s *Service) Prune(ctx context.Context, keep time.Duration) error {
	return s.Alerts.Prune(ctx, s.Now().Add(-keep))
}
