package models

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// AlertKind says what an alert rule looks at.
type AlertKind string

// The kinds of alert rules.
const (
	AlertQuota      AlertKind = "quota"      // how much of a quota is used
	AlertViolations AlertKind = "violations" // refusals by a limit
	AlertErrorRate  AlertKind = "error_rate" // answers that were reported as failed
	AlertAnomaly    AlertKind = "anomaly"    // an hour unlike the same hour of past weeks
	AlertSystem     AlertKind = "system"     // the service itself
)

// AlertKinds lists every kind.
var AlertKinds = []AlertKind{AlertQuota, AlertViolations, AlertErrorRate, AlertAnomaly, AlertSystem}

// AlertPer says whom a windowed rule counts together.
type AlertPer string

// What windowed rules count by.
const (
	AlertPerKey   AlertPer = "key"
	AlertPerOwner AlertPer = "owner"
)

// Span is a duration whose JSON is a whole number of milliseconds.
type Span time.Duration

// MarshalJSON writes milliseconds.
func (s Span) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Milliseconds()) }

// UnmarshalJSON reads milliseconds.
func (s *Span) UnmarshalJSON(data []byte) error {
	var ms int64
	if err := json.Unmarshal(data, &ms); err != nil {
		return err
	}
	*s = Span(time.Duration(ms) * time.Millisecond)
	return nil
}

// Bounds of alert rules.
const (
	MaxAlertWait         = 7 * 24 * time.Hour // of for, resolve_after and repeat_every
	MinAlertRepeat       = time.Minute
	MinViolationWindow   = time.Minute
	MaxAlertWindow       = 24 * time.Hour
	MaxQuotaPercent      = 1000
	MaxAnomalyWeeks      = 4
	MaxAnomalyFactor     = 1000
	MaxAlertDestinations = 50
	// MaxAlertCount bounds counts and units, as far as JSON keeps integers exact.
	MaxAlertCount = 1<<53 - 1
)

// Defaults of alert rules.
const (
	DefaultResolveAfter = 5 * time.Minute // of windowed kinds and the system
	DefaultRepeatEvery  = 4 * time.Hour   // of the same
	DefaultLossWindow   = time.Hour       // how long losses of the journal are spoken of
)

// AlertParams are what a rule of a kind looks for. Those of other kinds are zero.
type AlertParams struct {
	Percent float64 `json:"percent,omitempty"` // quota, error_rate; in hundredths
	Quota   string  `json:"quota,omitempty"`   // quota: the rule that is one, or any

	Window Span     `json:"window_ms,omitempty"` // violations, error_rate; system: of losses
	Per    AlertPer `json:"per,omitempty"`       // violations, error_rate, anomaly
	Count  int64    `json:"count,omitempty"`     // violations

	MinReports   int64 `json:"min_reports,omitempty"`   // error_rate
	ClientErrors bool  `json:"client_errors,omitempty"` // error_rate: 4xx as well

	Factor   float64 `json:"factor,omitempty"` // anomaly
	Weeks    int     `json:"weeks,omitempty"`
	MinUnits int64   `json:"min_units,omitempty"`
	Drop     bool    `json:"drop,omitempty"` // too little as well

	FailedJobs           bool `json:"failed_jobs,omitempty"` // system
	IngestionLag         Span `json:"ingestion_lag_ms,omitempty"`
	IngestLosses         bool `json:"ingest_losses,omitempty"`
	DestinationsDisabled bool `json:"destinations_disabled,omitempty"`
}

// Hundredths gives Percent in hundredths of a percent, which compare exactly.
func (p *AlertParams) Hundredths() int64 { return int64(math.Round(p.Percent * 100)) }

// AlertFilter narrows what a rule looks at; nil matches all.
type AlertFilter struct {
	OwnerID *OwnerID
	KeyID   *KeyID
	PlanID  *PlanID
}

// AlertRule says when people are to be alerted.
type AlertRule struct {
	ID       AlertRuleID `gorm:"primaryKey" json:"id"`
	Name     string      `json:"name,omitempty"` // unique
	Kind     AlertKind   `json:"kind,omitempty"`
	Severity Severity    `json:"severity,omitempty"`
	Enabled  bool        `json:"enabled"`
	Params   AlertParams `gorm:"serializer:json" json:"params"`
	// The filters; nil matches all.
	OwnerID *OwnerID `json:"owner_id,omitempty"`
	KeyID   *KeyID   `json:"key_id,omitempty"`
	PlanID  *PlanID  `json:"plan_id,omitempty"`
	// For is how long a cause has to last before the alert fires, ResolveAfter how
	// long it has to be gone before it resolves, and RepeatEvery how often an active
	// alert is told again, 0 for never.
	For          Span `gorm:"column:for_ns" json:"for_ms,omitempty"`
	ResolveAfter Span `gorm:"column:resolve_after_ns" json:"resolve_after_ms,omitempty"`
	RepeatEvery  Span `gorm:"column:repeat_every_ns" json:"repeat_every_ms,omitempty"`
	// Destinations narrows who is told; empty leaves it to what each wants.
	Destinations []DestinationID `gorm:"serializer:json" json:"destinations,omitempty"`
	// Rest is how many causes of a burst are still to be opened without being told
	// one by one, and Bursts how many bursts there were.
	Rest   int64 `json:"-"`
	Bursts int64 `json:"-"`
	// CheckedAt is when a rule was looked for last whose causes change slowly.
	CheckedAt *time.Time `json:"-"`
	Version   int64      `json:"version"`
	CreatedAt time.Time  `json:"created_at,omitempty"`
	UpdatedAt time.Time  `json:"updated_at,omitempty"`
}

// Filter gives the filters of the rule.
func (r *AlertRule) Filter() AlertFilter { return AlertFilter{r.OwnerID, r.KeyID, r.PlanID} }

// AnomalyEvery is how often anomalies are looked for within an hour: they take
// long to find, and only what comes late changes them.
const AnomalyEvery = 5 * time.Minute

// Rests tells whether the rule need not be looked for at now: it was a short
// while ago.
func (r *AlertRule) Rests(now time.Time) bool {
	return r.Kind == AlertAnomaly && r.CheckedAt != nil &&
		!now.Before(*r.CheckedAt) && now.Sub(*r.CheckedAt) < AnomalyEvery && r.CheckedAt.Truncate(time.Hour).Equal(now.Truncate(time.Hour))
}

// Normalize fills what was left out of the parameters.
func (r *AlertRule) Normalize() {
	p := &r.Params
	switch r.Kind {
	case AlertViolations, AlertErrorRate, AlertAnomaly:
		if p.Per == "" {
			p.Per = AlertPerKey
		}
	}
	switch {
	case r.Kind == AlertErrorRate && p.MinReports == 0:
		p.MinReports = 1
	case r.Kind == AlertAnomaly && p.Weeks == 0:
		p.Weeks = MaxAnomalyWeeks
	case r.Kind == AlertSystem && p.IngestLosses && p.Window == 0:
		p.Window = Span(DefaultLossWindow)
	}
}

// Waits gives the default times of a kind: how long a cause has to be gone, and
// how often an active alert is told again.
func (k AlertKind) Waits() (resolveAfter, repeatEvery time.Duration) {
	if k == AlertQuota {
		return 0, 0
	}
	return DefaultResolveAfter, DefaultRepeatEvery
}

// Validate names every field of the rule that is wrong.
func (r *AlertRule) Validate(v *apierror.Validator) {
	ValidateRef(v, "name", r.Name)
	v.Checkf(slices.Contains(Severities, r.Severity), "severity", "must be one of: %s", join(Severities))
	wait := func(field string, d Span, least time.Duration) {
		v.Checkf(d == 0 || time.Duration(d) >= least && time.Duration(d) <= MaxAlertWait && time.Duration(d)%time.Millisecond == 0, field,
			"must be 0s or a duration from %s to %s, in whole milliseconds", least, MaxAlertWait)
	}
	wait("for", r.For, time.Millisecond)
	wait("resolve_after", r.ResolveAfter, time.Millisecond)
	wait("repeat_every", r.RepeatEvery, MinAlertRepeat)
	v.Checkf(len(r.Destinations) <= MaxAlertDestinations, "destinations", "must hold at most %d ids", MaxAlertDestinations)
	if r.Kind == AlertSystem {
		v.Check(r.OwnerID == nil, "owner", "must be absent for a rule of kind system")
		v.Check(r.KeyID == nil, "key", "must be absent for a rule of kind system")
		v.Check(r.PlanID == nil, "plan", "must be absent for a rule of kind system")
	}
	r.validateParams(v)
}

func (r *AlertRule) validateParams(v *apierror.Validator) {
	if !slices.Contains(AlertKinds, r.Kind) {
		v.Checkf(false, "kind", "must be one of: %s", join(AlertKinds))
		return
	}
	in, rest := v.In("params"), r.Params
	p := &r.Params
	switch r.Kind {
	case AlertQuota:
		in.Checkf(hundredths(p.Percent) && p.Percent >= 1 && p.Percent <= MaxQuotaPercent, "percent", "must be from 1 to %d, with at most two decimals", MaxQuotaPercent)
		if p.Quota != "" {
			ValidateIdentifier(in, "quota", p.Quota)
		}
		rest.Percent, rest.Quota = 0, ""
	case AlertViolations:
		in.Check(p.Count >= 1 && p.Count <= MaxAlertCount, "count", "must be at least 1")
		in.Checkf(within(p.Window, MinViolationWindow, time.Minute), "window", "must be whole minutes from %s to %s", MinViolationWindow, MaxAlertWindow)
		rest.Count, rest.Window = 0, 0
	case AlertErrorRate:
		in.Check(hundredths(p.Percent) && p.Percent > 0 && p.Percent <= 100, "percent", "must be above 0, at most 100, with at most two decimals")
		in.Checkf(within(p.Window, Bucket, Bucket), "window", "must be a multiple of %s up to %s", Bucket, MaxAlertWindow)
		in.Check(p.MinReports >= 1 && p.MinReports <= MaxAlertCount, "min_reports", "must be at least 1")
		rest.Percent, rest.Window, rest.MinReports, rest.ClientErrors = 0, 0, 0, false
	case AlertAnomaly:
		in.Checkf(p.Factor > 1 && p.Factor <= MaxAnomalyFactor, "factor", "must be above 1, at most %d", MaxAnomalyFactor)
		in.Checkf(p.Weeks >= 1 && p.Weeks <= MaxAnomalyWeeks, "weeks", "must be from 1 to %d", MaxAnomalyWeeks)
		in.Check(p.MinUnits >= 1 && p.MinUnits <= MaxAlertCount, "min_units", "must be at least 1")
		rest.Factor, rest.Weeks, rest.MinUnits, rest.Drop = 0, 0, 0, false
	case AlertSystem:
		in.Check(p.IngestionLag == 0 || within(p.IngestionLag, time.Second, time.Second), "ingestion_lag", "must be whole seconds from 1s to 24h")
		in.Check(p.Window == 0 && !p.IngestLosses || p.IngestLosses && within(p.Window, time.Minute, time.Minute), "window",
			"must be whole minutes from 1m to 24h, and absent without ingest_losses")
		v.Check(p.FailedJobs || p.IngestionLag != 0 || p.IngestLosses || p.DestinationsDisabled, "params",
			"must name at least one of: failed_jobs, ingestion_lag, ingest_losses, destinations_disabled")
		rest.Window, rest.FailedJobs, rest.IngestionLag, rest.IngestLosses, rest.DestinationsDisabled = 0, false, 0, false, false
	}
	switch r.Kind {
	case AlertViolations, AlertErrorRate, AlertAnomaly:
		in.Check(p.Per == AlertPerKey || p.Per == AlertPerOwner, "per", `must be "key" or "owner"`)
		rest.Per = ""
	}
	v.Checkf(rest == AlertParams{}, "params", "must hold what a rule of kind %s looks for, and nothing else", r.Kind)
}

func within(d Span, least, multiple time.Duration) bool {
	return time.Duration(d) >= least && time.Duration(d) <= MaxAlertWindow && time.Duration(d)%multiple == 0
}

// hundredths tells whether a percentage has at most two decimals.
func hundredths(percent float64) bool {
	scaled := percent * 100
	return math.Abs(scaled-math.Round(scaled)) < 1e-6
}
