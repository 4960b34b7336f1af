package models

import "time"

// Owner is the account that pays, and whose keys share limits.
type Owner struct {
	ID OwnerID `gorm:"primaryKey" json:"id"`
	// ExternalID is the customer's id in the caller's own system, unique where
	// given.
	ExternalID *string `json:"external_id,omitempty"`
	Name       string  `json:"name,omitempty"`
	Email      string  `json:"email,omitempty"`
	PlanID     PlanID  `json:"plan_id,omitempty"`
	// PlanVersion pins the owner to a version of the plan; nil follows the
	// newest.
	PlanVersion *int `json:"plan_version,omitempty"`
	// PlanSince is when the owner came onto the plan, or its pin changed.
	PlanSince time.Time `json:"plan_since,omitempty"`
	// Implicit owners were made by creating a key without one, and belong to
	// that key alone.
	Implicit bool `json:"implicit,omitempty"`
	// Rules are added to the plan's and override them by name.
	Rules []Rule `gorm:"serializer:json" json:"rules,omitempty"`
	// TimeZone (IANA name) and AnchorDay (1–31, clamped to the month's last
	// day) place the owner's calendar periods, for quotas and bills alike.
	TimeZone   string            `json:"time_zone,omitempty"`
	AnchorDay  int               `json:"anchor_day,omitempty"`
	Metadata   map[string]string `gorm:"serializer:json" json:"metadata,omitempty"`
	ArchivedAt *time.Time        `json:"archived_at,omitempty"`
	Version    int64             `json:"version"`
	CreatedAt  time.Time         `json:"created_at,omitempty"`
	UpdatedAt  time.Time         `json:"updated_at,omitempty"`
}

// Archived owners keep their history and hold no keys.
func (o *Owner) Archived() bool { return o.ArchivedAt != nil }

// Ref is how answers name the owner: its external id where it has one.
func (o *Owner) Ref() string {
	if o.ExternalID != nil {
		return *o.ExternalID
	}
	return string(o.ID)
}

// OnPlan tells whether the owner is on this plan, and pinned alike.
func (o *Owner) OnPlan(plan PlanID, version *int) bool {
	if o.PlanID != plan || (o.PlanVersion == nil) != (version == nil) {
		return false
	}
	return version == nil || *o.PlanVersion == *version
}

// Normalize fills what was left out: UTC, the first day of the month, and the
// owner's scope for its rules.
func (o *Owner) Normalize() {
	if o.TimeZone == "" {
		o.TimeZone = "UTC"
	}
	if o.AnchorDay == 0 {
		o.AnchorDay = 1
	}
	NormalizeRules(o.Rules, ScopeOwner)
}
