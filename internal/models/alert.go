package models

import (
	"fmt"
	"math/bits"
	"time"
)

// AlertState says where an alert is in its life.
type AlertState string

// The states of an alert.
const (
	AlertPending      AlertState = "pending" // its cause has not lasted long enough: nobody is told
	AlertActive       AlertState = "active"
	AlertAcknowledged AlertState = "acknowledged" // somebody is at it: it is not told again
	AlertSuppressed   AlertState = "suppressed"   // not to be told of until an instant
	AlertResolved     AlertState = "resolved"
)

// AlertStates lists every state.
var AlertStates = []AlertState{AlertPending, AlertActive, AlertAcknowledged, AlertSuppressed, AlertResolved}

// Resolution says why an alert was resolved.
type Resolution string

// The resolutions.
const (
	ResolutionCleared     Resolution = "cleared"      // its cause is gone
	ResolutionPeriodEnded Resolution = "period_ended" // and with it the quota's use
	ResolutionManual      Resolution = "manual"
	ResolutionRuleRemoved Resolution = "rule_removed" // or disabled
)

// AlertCause is what a rule found above its threshold.
type AlertCause struct {
	// Subject is whom or what it is about: "owner:0197…", "key:0197…" or
	// "system:failed_jobs".
	Subject string
	OwnerID OwnerID // "" where it concerns nobody, or somebody unknown
	KeyID   KeyID
	// Of a quota: its rule, the kind of its period, and when that begins and ends.
	Quota                  string
	Period                 PeriodKind
	PeriodStart, PeriodEnd time.Time
	Value, Threshold       float64
	Text                   string // one sentence, for people
}

// Fingerprint names what one alert is about: of the same rule, subject and
// period there is one at a time.
func (c *AlertCause) Fingerprint(rule AlertRuleID) string {
	print := string(rule) + "|" + c.Subject
	if c.Quota != "" {
		print += fmt.Sprintf("|%s|%s|%d", c.Quota, c.Period, c.PeriodStart.Unix())
	}
	return print
}

// Alert is one cause and what became of it.
type Alert struct {
	ID          AlertID     `gorm:"primaryKey" json:"id"`
	RuleID      AlertRuleID `json:"rule_id,omitempty"`
	RuleName    string      `json:"rule,omitempty"` // when it was opened
	Kind        AlertKind   `json:"kind,omitempty"`
	Severity    Severity    `json:"severity,omitempty"`
	Fingerprint string      `json:"-"`
	Subject     string      `json:"subject,omitempty"`
	OwnerID     *OwnerID    `json:"owner_id,omitempty"`
	KeyID       *KeyID      `json:"key_id,omitempty"`
	Quota       string      `json:"quota,omitempty"`
	Period      PeriodKind  `json:"period,omitempty"`
	PeriodStart *time.Time  `json:"period_start,omitempty"`
	PeriodEnd   *time.Time  `json:"period_end,omitempty"`
	State       AlertState  `json:"state,omitempty"`
	// Live alerts are compared with what is there. A resolved one stays live while
	// the cause that somebody resolved it in spite of has not gone: it is not
	// opened anew.
	Live      bool    `json:"-"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
	Text      string  `json:"text,omitempty"`

	FiredAt   *time.Time `json:"fired_at,omitempty"`
	SeenAt    time.Time  `json:"seen_at,omitempty"`    // when the value was last written
	ClearedAt *time.Time `json:"cleared_at,omitempty"` // since when the cause is gone
	// Crossing counts how often it became active, Told the last crossing that was
	// told, and Repeats how often it was told again. ToldAt is when it was told last;
	// of one that was told as part of a burst alone, nil.
	Crossing        int        `json:"-"`
	Told            int        `json:"-"`
	Repeats         int        `json:"-"`
	ToldAt          *time.Time `json:"told_at,omitempty"`
	AcknowledgedAt  *time.Time `json:"acknowledged_at,omitempty"`
	SuppressedUntil *time.Time `json:"suppressed_until,omitempty"`
	ResolvedAt      *time.Time `json:"resolved_at,omitempty"`
	Resolution      Resolution `json:"resolution,omitempty"`
	Note            string     `json:"note,omitempty"` // the last that was made
	NoteBy          string     `json:"note_by,omitempty"`
	Version         int64      `json:"version"`
	CreatedAt       time.Time  `json:"created_at,omitempty"` // since when the cause is there
	UpdatedAt       time.Time  `json:"updated_at,omitempty"`
}

// NewAlert opens an alert of a cause that has just been found.
func NewAlert(r *AlertRule, c *AlertCause, now time.Time) *Alert {
	a := &Alert{
		ID: NewID[AlertID](), RuleID: r.ID, RuleName: r.Name, Kind: r.Kind, Severity: r.Severity,
		Fingerprint: c.Fingerprint(r.ID), Subject: c.Subject, Quota: c.Quota, Period: c.Period,
		State: AlertPending, Live: true, Value: c.Value, Threshold: c.Threshold, Text: c.Text, SeenAt: now,
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if c.OwnerID != "" {
		a.OwnerID = &c.OwnerID
	}
	if c.KeyID != "" {
		a.KeyID = &c.KeyID
	}
	if c.Quota != "" {
		a.PeriodStart, a.PeriodEnd = NormalizeInstant(&c.PeriodStart), NormalizeInstant(&c.PeriodEnd)
	}
	a.Seen(r, c, now)
	return a
}

// AlertListFilter narrows a list of alerts; zero fields match all, except that
// pending ones are listed only where State asks for them.
type AlertListFilter struct {
	State    AlertState
	RuleID   AlertRuleID
	OwnerID  OwnerID
	KeyID    KeyID
	Severity Severity
	Since    time.Time // opened then or later
}

// MaintenanceWindow is a time in which alerts open but are not told.
type MaintenanceWindow struct {
	ID        MaintenanceID `gorm:"primaryKey" json:"id"`
	Name      string        `json:"name,omitempty"`
	StartsAt  time.Time     `json:"starts_at,omitempty"`
	EndsAt    time.Time     `json:"ends_at,omitempty"`
	RuleIDs   []AlertRuleID `gorm:"column:rules;serializer:json" json:"rules,omitempty"` // empty is all
	OwnerID   *OwnerID      `json:"owner_id,omitempty"`                                  // nil is all
	Version   int64         `json:"version"`
	CreatedAt time.Time     `json:"created_at,omitempty"`
	UpdatedAt time.Time     `json:"updated_at,omitempty"`
}

// Covers tells whether the window is open at now, and about the alert.
func (w *MaintenanceWindow) Covers(a *Alert, now time.Time) bool {
	if now.Before(w.StartsAt) || !now.Before(w.EndsAt) {
		return false
	}
	if w.OwnerID != nil && (a.OwnerID == nil || *a.OwnerID != *w.OwnerID) {
		return false
	}
	if len(w.RuleIDs) == 0 {
		return true
	}
	for _, rule := range w.RuleIDs {
		if rule == a.RuleID {
			return true
		}
	}
	return false
}

// QuotaUse is how much of a quota is used, and what it was at the last check.
type QuotaUse struct {
	QuotaKey `gorm:"embedded"`
	Used     int64
	Limit    int64 `gorm:"column:quota_limit"`
}

// Reaches tells whether at least so many hundredths of a percent of it are used.
func (q *QuotaUse) Reaches(hundredths int64) bool {
	if q.Used < 0 || q.Limit <= 0 {
		return false
	}
	usedHigh, usedLow := bits.Mul64(uint64(q.Used), 100*100)
	high, low := bits.Mul64(uint64(q.Limit), uint64(hundredths))
	return usedHigh > high || usedHigh == high && usedLow >= low
}

// AlertSum is what a windowed rule adds up of a key or owner.
type AlertSum struct {
	Name    string // the id
	OwnerID OwnerID
	At      time.Time // the minute, bucket or hour it begins at; zero where all were added up
	Count   int64     // refusals, reports, units
	Errors  int64     // of the reports
	Past    int64     // units of the same hour of past weeks, together
	Weeks   int64     // of how many weeks
}
