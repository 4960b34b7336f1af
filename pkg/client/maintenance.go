package client

import (
	"context"
	"iter"
	"time"
)

// MaintenanceWindows are times in which alerts open but are not told.
type MaintenanceWindows struct{ client *Client }

// MaintenanceWindow is such a time.
type MaintenanceWindow struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	StartsAt  time.Time `json:"starts_at"`
	EndsAt    time.Time `json:"ends_at"`  // the first instant that is not of it
	Rules     []string  `json:"rules"`    // ids; none is all
	OwnerID   *string   `json:"owner_id"` // nil is all
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`

	ETag ETag `json:"-"` // empty in lists
}

func (w *MaintenanceWindow) tag(etag ETag) { w.ETag = etag }

// NewMaintenanceWindow describes a window to make, of at most 31 days.
type NewMaintenanceWindow struct {
	Name     string    `json:"name"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
	Rules    []string  `json:"rules,omitempty"` // ids or names
	Owner    string    `json:"owner,omitzero"`  // id or external id
}

// Create makes a window.
func (m MaintenanceWindows) Create(ctx context.Context, w NewMaintenanceWindow, opts ...CallOption) (*MaintenanceWindow, error) {
	return object[MaintenanceWindow](ctx, m.client, create("create maintenance window", w, opts, "maintenance-windows"))
}

// List yields windows. It sorts by created_at or name.
func (m MaintenanceWindows) List(ctx context.Context, page Page) iter.Seq2[MaintenanceWindow, error] {
	op := get("list maintenance windows", "maintenance-windows")
	op.query = page.query(nil)
	return list[MaintenanceWindow](ctx, m.client, op)
}

// Get reads a window.
func (m MaintenanceWindows) Get(ctx context.Context, id string) (*MaintenanceWindow, error) {
	return object[MaintenanceWindow](ctx, m.client, get("get maintenance window", "maintenance-windows", id))
}

// MaintenanceWindowPatch changes a window.
type MaintenanceWindowPatch struct {
	Name     *string          `json:"name,omitempty"`
	StartsAt *time.Time       `json:"starts_at,omitempty"`
	EndsAt   *time.Time       `json:"ends_at,omitempty"`
	Rules    Change[[]string] `json:"rules,omitzero"`
	Owner    Change[string]   `json:"owner,omitzero"`
}

// Update changes a window that is still at the version given.
func (m MaintenanceWindows) Update(ctx context.Context, id string, version ETag, p MaintenanceWindowPatch) (*MaintenanceWindow, error) {
	return object[MaintenanceWindow](ctx, m.client, patch("update maintenance window", p, version, "maintenance-windows", id))
}

// Delete erases a window, which ends it.
func (m MaintenanceWindows) Delete(ctx context.Context, id string) error {
	_, err := m.client.do(ctx, erase("delete maintenance window", "maintenance-windows", id), nil)
	return err
}
