package models

import "time"

// Plan is an offer that owners are on. Its content lives in versions, so that
// what was in force at any time stays known.
type Plan struct {
	ID          PlanID `gorm:"primaryKey" json:"id"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
	// Current is the number of the newest version, which owners follow unless
	// they are pinned to an older one.
	Current    int               `json:"current,omitempty"`
	ArchivedAt *time.Time        `json:"archived_at,omitempty"`
	Metadata   map[string]string `gorm:"serializer:json" json:"metadata,omitempty"`
	Version    int64             `json:"version"`
	CreatedAt  time.Time         `json:"created_at,omitempty"`
	UpdatedAt  time.Time         `json:"updated_at,omitempty"`
}

// Archived plans keep serving the owners on them and accept no new ones.
func (p *Plan) Archived() bool { return p.ArchivedAt != nil }

// PlanVersion is the content of a plan at one time. It never changes.
type PlanVersion struct {
	ID        PlanVersionID `gorm:"primaryKey" json:"id"`
	PlanID    PlanID        `json:"plan_id,omitempty"`
	Number    int           `json:"number,omitempty"`
	Rules     []Rule        `gorm:"serializer:json" json:"rules,omitempty"`
	CreatedAt time.Time     `json:"created_at,omitempty"`
}
