package client

import (
	"context"
	"iter"
	"time"
)

// Keyspaces are the API products that keys open. Where one is named, its id or
// its name will do.
type Keyspaces struct{ client *Client }

// Keyspace is an API product that keys open.
type Keyspace struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Prefix      string            `json:"prefix"` // begins every secret made in it
	Description string            `json:"description"`
	Imported    bool              `json:"imported"` // whether it takes secrets that were made elsewhere
	Metadata    map[string]string `json:"metadata"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`

	ETag ETag `json:"-"` // empty in lists
}

func (k *Keyspace) tag(etag ETag) { k.ETag = etag }

// NewKeyspace describes a keyspace to make; only Name is required.
type NewKeyspace struct {
	Name        string            `json:"name"`
	Prefix      string            `json:"prefix,omitzero"`
	Description string            `json:"description,omitzero"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// Create makes a keyspace.
func (k Keyspaces) Create(ctx context.Context, keyspace NewKeyspace, opts ...CallOption) (*Keyspace, error) {
	return object[Keyspace](ctx, k.client, create("create keyspace", keyspace, opts, "keyspaces"))
}

// List yields the keyspaces. It sorts by created_at or name.
func (k Keyspaces) List(ctx context.Context, page Page) iter.Seq2[Keyspace, error] {
	op := get("list keyspaces", "keyspaces")
	op.query = page.query(nil)
	return list[Keyspace](ctx, k.client, op)
}

// Get reads a keyspace.
func (k Keyspaces) Get(ctx context.Context, ref string) (*Keyspace, error) {
	return object[Keyspace](ctx, k.client, get("get keyspace", "keyspaces", ref))
}

// KeyspacePatch changes a keyspace.
type KeyspacePatch struct {
	Name        *string        `json:"name,omitempty"`
	Description Change[string] `json:"description,omitzero"`
	Metadata    MetadataPatch  `json:"metadata,omitempty"`
}

// Update changes a keyspace that is still at the version given.
func (k Keyspaces) Update(ctx context.Context, ref string, version ETag, p KeyspacePatch) (*Keyspace, error) {
	return object[Keyspace](ctx, k.client, patch("update keyspace", p, version, "keyspaces", ref))
}

// Delete erases a keyspace that has no keys.
func (k Keyspaces) Delete(ctx context.Context, ref string) error {
	_, err := k.client.do(ctx, erase("delete keyspace", "keyspaces", ref), nil)
	return err
}
