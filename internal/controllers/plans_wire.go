package controllers

import (
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/plans"
)

type newPlanBody struct {
	Name        string            `json:"name" minLength:"1" maxLength:"64" example:"pro" doc:"Unique; of a-z, A-Z, 0-9, '.', '_' and '-'"`
	Description string            `json:"description,omitzero" maxLength:"1000"`
	Rules       []ruleBody        `json:"rules,omitempty" maxItems:"20" doc:"Limits and quotas of the first version"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"At most 50 members of at most 512 characters, for yourself"`
}

type newPlanVersionBody struct {
	Rules []ruleBody `json:"rules" maxItems:"20" doc:"All limits and quotas of the version"`
}

type planPatchBody struct {
	Name        *string          `json:"name,omitempty" minLength:"1" maxLength:"64"`
	Description nullable[string] `json:"description,omitzero" maxLength:"1000"`
	Archived    *bool            `json:"archived,omitempty" doc:"An archived plan keeps its owners and takes no new ones"`
	Metadata    metadataPatch    `json:"metadata,omitzero" doc:"Members that are null are taken away, others are set"`
}

type planBody struct {
	ID          string            `json:"id" doc:"UUIDv7"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Version     int               `json:"version" doc:"Number of the current version"`
	Rules       []ruleBody        `json:"rules" doc:"Rules of the current version"`
	Archived    bool              `json:"archived"`
	Metadata    map[string]string `json:"metadata"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
}

func planOf(v *plans.View) planBody {
	p := &v.Plan
	return planBody{
		ID: string(p.ID), Name: p.Name, Description: p.Description, Version: v.Version.Number,
		Rules: ruleBodies(v.Version.Rules), Archived: p.Archived(), Metadata: p.Metadata,
		CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(),
	}
}

type planVersionBody struct {
	ID        string     `json:"id" doc:"UUIDv7"`
	Number    int        `json:"number" doc:"Counts from 1"`
	Rules     []ruleBody `json:"rules"`
	CreatedAt time.Time  `json:"created_at"`
}

func planVersionOf(v *models.PlanVersion) planVersionBody {
	return planVersionBody{ID: string(v.ID), Number: v.Number, Rules: ruleBodies(v.Rules), CreatedAt: v.CreatedAt.UTC()}
}
