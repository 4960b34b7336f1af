package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/owners"
)

func (a *api) registerOwners() {
	register(a, a.createCall(huma.Operation{
		OperationID: "create-owner", Method: http.MethodPost, Path: prefix + "/owners", Tags: []string{tagOwners},
		Summary: "Create an owner", Security: bearer(models.ScopeKeysWrite),
	}), a.createOwner)
	register(a, csvToo(huma.Operation{
		OperationID: "list-owners", Method: http.MethodGet, Path: prefix + "/owners", Tags: []string{tagOwners},
		Summary: "List owners", Security: bearer(models.ScopeKeysRead),
	}), a.listOwners)
	register(a, huma.Operation{
		OperationID: "get-owner", Method: http.MethodGet, Path: prefix + "/owners/{id}", Tags: []string{tagOwners},
		Summary: "Read an owner", Security: bearer(models.ScopeKeysRead),
	}, a.getOwner)
	register(a, acceptsPatch(huma.Operation{
		OperationID: "update-owner", Method: http.MethodPatch, Path: prefix + "/owners/{id}", Tags: []string{tagOwners},
		Summary: "Change an owner", Security: bearer(models.ScopeKeysWrite),
	}), a.updateOwner)
	register(a, huma.Operation{
		OperationID: "archive-owner", Method: http.MethodDelete, Path: prefix + "/owners/{id}", Tags: []string{tagOwners},
		Summary:     "Archive an owner that has no keys",
		Description: "Its history stays.",
		Security:    bearer(models.ScopeKeysWrite),
	}, a.deleteOwner)
}

// OwnerPath names an owner in a path.
type OwnerPath struct {
	ID string `path:"id" maxLength:"255" doc:"Id or external id of the owner"`
}

type createOwnerInput struct {
	IdempotencyHeader
	Body newOwnerBody
}

func (a *api) createOwner(ctx context.Context, in *createOwnerInput) (*versioned[ownerBody], error) {
	rules, err := rulesOf(in.Body.Rules)
	if err != nil {
		return nil, err
	}
	view, err := a.Owners.Create(ctx, owners.NewOwner{
		ExternalID: in.Body.ExternalID, Name: in.Body.Name, Email: in.Body.Email,
		Plan: in.Body.Plan, PlanVersion: in.Body.PlanVersion, Rules: rules,
		TimeZone: in.Body.TimeZone, AnchorDay: in.Body.AnchorDay, Metadata: in.Body.Metadata,
	})
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusCreated, view.Owner.Version, ownerOf(&view))
}

type listOwnersInput struct {
	PageQuery
	Sort            string `query:"sort" enum:"created_at,-created_at,updated_at,-updated_at,name,-name" default:"-created_at" doc:"The field to sort by, descending with a minus sign"`
	Plan            string `query:"plan" maxLength:"255" doc:"Only owners on this plan, by id or name"`
	Name            string `query:"name" maxLength:"255" doc:"Only owners whose name begins so"`
	Implicit        string `query:"implicit" enum:"true,false" doc:"Only owners that were made (or not made) by creating a key"`
	IncludeArchived bool   `query:"include_archived" doc:"Archived owners too"`
}

func (a *api) listOwners(ctx context.Context, in *listOwnersInput) (*listOutput[ownerBody], error) {
	filter := owners.Filter{Plan: in.Plan, Name: in.Name, IncludeArchived: in.IncludeArchived}
	if in.Implicit != "" {
		implicit := in.Implicit == "true"
		filter.Implicit = &implicit
	}
	views, err := a.Owners.List(ctx, filter, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, views, ownerOf, func(v *owners.View) models.Position {
		return models.Position{Value: sorted(in.Sort, v.Owner.CreatedAt, v.Owner.UpdatedAt, v.Owner.Name), ID: string(v.Owner.ID)}
	}), nil
}

type getOwnerInput struct {
	OwnerPath
	NoneMatchHeader
}

func (a *api) getOwner(ctx context.Context, in *getOwnerInput) (*versioned[ownerBody], error) {
	view, err := a.Owners.Find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answerUnless(in.NoneMatchHeader, view.Owner.Version, ownerOf(&view))
}

type updateOwnerInput struct {
	OwnerPath
	MatchHeader
	Body ownerPatchBody
}

func (a *api) updateOwner(ctx context.Context, in *updateOwnerInput) (*versioned[ownerBody], error) {
	view, err := patch(in.MatchHeader,
		func() (owners.View, error) { return a.Owners.Find(ctx, in.ID) },
		func(v *owners.View) int64 { return v.Owner.Version },
		func(current *owners.View, version int64) (owners.View, error) {
			p, err := in.Body.patch(current.Owner.Metadata)
			if err != nil {
				return owners.View{}, err
			}
			return a.Owners.Update(ctx, string(current.Owner.ID), version, p)
		})
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusOK, view.Owner.Version, ownerOf(&view))
}

func (a *api) deleteOwner(ctx context.Context, in *OwnerPath) (*struct{}, error) {
	return nil, a.Owners.Delete(ctx, in.ID)
}

type newOwnerBody struct {
	ExternalID  string            `json:"external_id,omitzero" maxLength:"255" example:"cust_42" doc:"Your own id of the customer, unique; without spaces and slashes, and no UUID"`
	Name        string            `json:"name,omitzero" maxLength:"255"`
	Email       string            `json:"email,omitzero" maxLength:"255"`
	Plan        string            `json:"plan,omitzero" maxLength:"255" doc:"Id or name of the plan; the default plan unless said otherwise"`
	PlanVersion *int              `json:"plan_version,omitempty" minimum:"1" maximum:"2147483647" doc:"Pins the owner to a version of the plan; without it, the newest applies"`
	Rules       []ruleBody        `json:"rules,omitempty" maxItems:"20" doc:"Limits of the owner, beside those of its plan"`
	TimeZone    string            `json:"time_zone,omitzero" maxLength:"64" example:"Europe/Berlin" doc:"IANA time zone of its days and months; UTC unless said otherwise"`
	AnchorDay   int               `json:"anchor_day,omitzero" minimum:"1" maximum:"31" doc:"Day its months begin on, or the month's last where it has fewer; 1 unless said otherwise"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"At most 50 members of at most 512 characters, for yourself"`
}

type ownerPatchBody struct {
	ExternalID  nullable[string]     `json:"external_id,omitzero" minLength:"1" maxLength:"255"`
	Name        nullable[string]     `json:"name,omitzero" maxLength:"255"`
	Email       nullable[string]     `json:"email,omitzero" maxLength:"255"`
	Plan        *string              `json:"plan,omitempty" minLength:"1" maxLength:"255"`
	PlanVersion nullable[int]        `json:"plan_version,omitzero" minimum:"1" maximum:"2147483647" doc:"null follows the newest"`
	Rules       nullable[[]ruleBody] `json:"rules,omitzero" maxItems:"20" doc:"Replaces all rules of the owner"`
	TimeZone    *string              `json:"time_zone,omitempty" minLength:"1" maxLength:"64"`
	AnchorDay   *int                 `json:"anchor_day,omitempty" minimum:"1" maximum:"31"`
	Metadata    metadataPatch        `json:"metadata,omitzero" doc:"Members that are null are taken away, others are set"`
}

func (b *ownerPatchBody) patch(metadata map[string]string) (owners.Patch, error) {
	p := owners.Patch{
		ExternalID: b.ExternalID.change(), Name: b.Name.cleared(), Email: b.Email.cleared(),
		Plan: b.Plan, PlanVersion: b.PlanVersion.change(), TimeZone: b.TimeZone, AnchorDay: b.AnchorDay,
		Metadata: b.Metadata.merge(metadata),
	}
	var err error
	p.Rules, err = rulesPatch(b.Rules)
	return p, err
}

type ownerBody struct {
	ID          string            `json:"id" doc:"UUIDv7"`
	ExternalID  *string           `json:"external_id"`
	Name        string            `json:"name"`
	Email       string            `json:"email"`
	Plan        string            `json:"plan" doc:"Name of the plan"`
	PlanVersion *int              `json:"plan_version" doc:"null follows the newest"`
	Implicit    bool              `json:"implicit" doc:"Made by creating a key without an owner, and that key's alone"`
	Rules       []ruleBody        `json:"rules"`
	TimeZone    string            `json:"time_zone"`
	AnchorDay   int               `json:"anchor_day"`
	Metadata    map[string]string `json:"metadata"`
	ArchivedAt  *time.Time        `json:"archived_at"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
}

func ownerOf(v *owners.View) ownerBody {
	o := &v.Owner
	return ownerBody{
		ID: string(o.ID), ExternalID: o.ExternalID, Name: o.Name, Email: o.Email,
		Plan: v.Plan.Name, PlanVersion: o.PlanVersion, Implicit: o.Implicit, Rules: ruleBodies(o.Rules),
		TimeZone: o.TimeZone, AnchorDay: o.AnchorDay, Metadata: o.Metadata, ArchivedAt: utc(o.ArchivedAt),
		CreatedAt: o.CreatedAt.UTC(), UpdatedAt: o.UpdatedAt.UTC(),
	}
}
