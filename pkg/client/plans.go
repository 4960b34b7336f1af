package client

import (
	"context"
	"iter"
	"strconv"
	"time"
)

// Plans are the offers that owners are on. Where one is named, its id or its
// name will do.
type Plans struct{ client *Client }

// Plan is an offer with its current version.
type Plan struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Version     int               `json:"version"` // number of the current one
	Rules       []Rule            `json:"rules"`   // of the current version
	Archived    bool              `json:"archived"`
	Metadata    map[string]string `json:"metadata"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`

	ETag ETag `json:"-"` // empty in lists
}

func (p *Plan) tag(etag ETag) { p.ETag = etag }

// PlanVersion is what a plan was from one publication to the next.
type PlanVersion struct {
	ID        string    `json:"id"`
	Number    int       `json:"number"` // counts from 1
	Rules     []Rule    `json:"rules"`
	CreatedAt time.Time `json:"created_at"`
}

// NewPlan describes a plan to make; only Name is required.
type NewPlan struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitzero"`
	Rules       []Rule            `json:"rules,omitempty"` // of the first version
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// Create makes a plan with its first version.
func (p Plans) Create(ctx context.Context, plan NewPlan, opts ...CallOption) (*Plan, error) {
	return object[Plan](ctx, p.client, create("create plan", plan, opts, "plans"))
}

// PlanFilter chooses plans; the zero filter chooses all that are not archived.
type PlanFilter struct {
	Archived bool // archived ones too
}

// List yields plans. It sorts by created_at or name.
func (p Plans) List(ctx context.Context, f PlanFilter, page Page) iter.Seq2[Plan, error] {
	filters := map[string]string{}
	if f.Archived {
		filters["include_archived"] = "true"
	}
	op := get("list plans", "plans")
	op.query = page.query(filters)
	return list[Plan](ctx, p.client, op)
}

// Get reads a plan.
func (p Plans) Get(ctx context.Context, ref string) (*Plan, error) {
	return object[Plan](ctx, p.client, get("get plan", "plans", ref))
}

// PlanPatch changes a plan; its rules change by publishing a version.
type PlanPatch struct {
	Name        *string        `json:"name,omitempty"`
	Description Change[string] `json:"description,omitzero"`
	Archived    *bool          `json:"archived,omitempty"` // an archived plan keeps its owners and takes no new ones
	Metadata    MetadataPatch  `json:"metadata,omitempty"`
}

// Update changes a plan that is still at the version given.
func (p Plans) Update(ctx context.Context, ref string, version ETag, change PlanPatch) (*Plan, error) {
	return object[Plan](ctx, p.client, patch("update plan", change, version, "plans", ref))
}

// Delete erases a plan that no owner is on.
func (p Plans) Delete(ctx context.Context, ref string) error {
	_, err := p.client.do(ctx, erase("delete plan", "plans", ref), nil)
	return err
}

// Publish makes a new version of a plan, with these rules and no others. Owners
// that are not pinned to a version follow it from now on.
func (p Plans) Publish(ctx context.Context, ref string, rules []Rule, opts ...CallOption) (*Plan, error) {
	body := struct {
		Rules []Rule `json:"rules"`
	}{append([]Rule{}, rules...)} // an empty list rather than null
	return object[Plan](ctx, p.client, create("publish plan", body, opts, "plans", ref, "versions"))
}

// Versions yields the versions of a plan, newest first. It sorts by number.
func (p Plans) Versions(ctx context.Context, ref string, page Page) iter.Seq2[PlanVersion, error] {
	op := get("list versions of plan", "plans", ref, "versions")
	op.query = page.query(nil)
	return list[PlanVersion](ctx, p.client, op)
}

// Version reads a version of a plan.
func (p Plans) Version(ctx context.Context, ref string, number int) (*PlanVersion, error) {
	v := new(PlanVersion)
	_, err := p.client.do(ctx, get("get version of plan", "plans", ref, "versions", strconv.Itoa(number)), v)
	if err != nil {
		return nil, err
	}
	return v, nil
}
