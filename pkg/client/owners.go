package client

import (
	"context"
	"iter"
	"strconv"
	"time"
)

// Owners are the accounts that pay, and whose keys share limits. Where one is
// named, its id or its external id will do.
type Owners struct{ client *Client }

// Owner is an account that pays.
type Owner struct {
	ID          string            `json:"id"`
	ExternalID  *string           `json:"external_id"`
	Name        string            `json:"name"`
	Email       string            `json:"email"`
	Plan        string            `json:"plan"`         // its name
	PlanVersion *int              `json:"plan_version"` // nil follows the newest
	Implicit    bool              `json:"implicit"`     // made by creating a key without an owner
	Rules       []Rule            `json:"rules"`
	TimeZone    string            `json:"time_zone"`
	AnchorDay   int               `json:"anchor_day"` // the day its months begin on
	Metadata    map[string]string `json:"metadata"`
	ArchivedAt  *time.Time        `json:"archived_at"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`

	ETag ETag `json:"-"` // empty in lists
}

func (o *Owner) tag(etag ETag) { o.ETag = etag }

// NewOwner describes an owner to make; nothing is required.
type NewOwner struct {
	ExternalID  string            `json:"external_id,omitzero"` // your own id of the customer
	Name        string            `json:"name,omitzero"`
	Email       string            `json:"email,omitzero"`
	Plan        string            `json:"plan,omitzero"`          // id or name; the default plan unless said otherwise
	PlanVersion *int              `json:"plan_version,omitempty"` // pins the owner to a version
	Rules       []Rule            `json:"rules,omitempty"`
	TimeZone    string            `json:"time_zone,omitzero"`  // IANA name; UTC unless said otherwise
	AnchorDay   int               `json:"anchor_day,omitzero"` // 1 to 31
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// Create makes an owner.
func (o Owners) Create(ctx context.Context, owner NewOwner, opts ...CallOption) (*Owner, error) {
	return object[Owner](ctx, o.client, create("create owner", owner, opts, "owners"))
}

// OwnerFilter chooses owners; the zero filter chooses all that are not archived.
type OwnerFilter struct {
	Plan     string // id or name
	Name     string // how the name begins
	Implicit *bool  // whether they were made by creating a key
	Archived bool   // archived ones too
}

// List yields owners. It sorts by created_at, updated_at or name.
func (o Owners) List(ctx context.Context, f OwnerFilter, page Page) iter.Seq2[Owner, error] {
	filters := map[string]string{"plan": f.Plan, "name": f.Name}
	if f.Implicit != nil {
		filters["implicit"] = strconv.FormatBool(*f.Implicit)
	}
	if f.Archived {
		filters["include_archived"] = "true"
	}
	op := get("list owners", "owners")
	op.query = page.query(filters)
	return list[Owner](ctx, o.client, op)
}

// Get reads an owner.
func (o Owners) Get(ctx context.Context, ref string) (*Owner, error) {
	return object[Owner](ctx, o.client, get("get owner", "owners", ref))
}

// OwnerPatch changes an owner.
type OwnerPatch struct {
	ExternalID  Change[string] `json:"external_id,omitzero"`
	Name        Change[string] `json:"name,omitzero"`
	Email       Change[string] `json:"email,omitzero"`
	Plan        *string        `json:"plan,omitempty"`
	PlanVersion Change[int]    `json:"plan_version,omitzero"` // cleared, it follows the newest
	Rules       Change[[]Rule] `json:"rules,omitzero"`        // all of the owner's rules
	TimeZone    *string        `json:"time_zone,omitempty"`
	AnchorDay   *int           `json:"anchor_day,omitempty"`
	Metadata    MetadataPatch  `json:"metadata,omitempty"`
}

// Update changes an owner that is still at the version given.
func (o Owners) Update(ctx context.Context, ref string, version ETag, p OwnerPatch) (*Owner, error) {
	return object[Owner](ctx, o.client, patch("update owner", p, version, "owners", ref))
}

// Delete archives an owner that has no keys. Its history stays.
func (o Owners) Delete(ctx context.Context, ref string) error {
	_, err := o.client.do(ctx, erase("delete owner", "owners", ref), nil)
	return err
}
