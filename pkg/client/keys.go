package client

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/viva/rate-limiter/pkg/apikey"
)

// Keys are the API keys.
type Keys struct{ client *Client }

// Key is an API key.
type Key struct {
	ID             string             `json:"id"`
	Name           string             `json:"name"`
	Keyspace       string             `json:"keyspace"` // its name
	Owner          string             `json:"owner"`    // its external id, or its id where it has none
	Plan           string             `json:"plan"`     // name of the owner's plan
	Environment    apikey.Environment `json:"environment"`
	Status         KeyStatus          `json:"status"`
	Secrets        []KeySecret        `json:"secrets"`         // newest first
	ExpiresAt      *time.Time         `json:"expires_at"`      // nil never
	RevokedAt      *time.Time         `json:"revoked_at"`      // nil where it is not
	SuspendedUntil *time.Time         `json:"suspended_until"` // nil where it is not, or until it is activated
	SuspendReason  string             `json:"suspend_reason,omitzero"`
	AllowedIPs     []string           `json:"allowed_ips"`
	Permissions    []string           `json:"permissions"`
	Methods        []string           `json:"methods"`
	Endpoints      []string           `json:"endpoints"`
	Rules          []Rule             `json:"rules"`
	Tags           []string           `json:"tags"`
	Metadata       map[string]string  `json:"metadata"`
	LastUsedAt     *time.Time         `json:"last_used_at"`   // to about a minute; nil where it never was
	Requests       int64              `json:"total_requests"` // checks in all, refused ones too; of at most three years
	Units          int64              `json:"total_units"`    // spent in all
	CreatedAt      time.Time          `json:"created_at"`
	UpdatedAt      time.Time          `json:"updated_at"`

	ETag ETag `json:"-"` // empty in lists
}

func (k *Key) tag(etag ETag) { k.ETag = etag }

// KeyStatus is what a key is now.
type KeyStatus string

// The statuses of keys.
const (
	Active    KeyStatus = "active"
	Suspended KeyStatus = "suspended"
	Expired   KeyStatus = "expired"
	Revoked   KeyStatus = "revoked"
)

// KeySecret is one string that opens a key, without the string.
type KeySecret struct {
	ID        string     `json:"id"`
	Mask      string     `json:"mask"`              // such as viva_live_…wXyZ
	Imported  bool       `json:"imported,omitzero"` // made elsewhere
	ExpiresAt *time.Time `json:"expires_at"`        // the end of a rotation's grace; nil for the newest
	CreatedAt time.Time  `json:"created_at"`
}

// NewKey describes a key to make; only Name is required.
type NewKey struct {
	Name        string             `json:"name"`
	Keyspace    string             `json:"keyspace,omitzero"`    // id or name; default unless said otherwise
	Owner       string             `json:"owner,omitzero"`       // id or external id; without one, the key gets its own
	Plan        string             `json:"plan,omitzero"`        // id or name, of the key's own owner
	Environment apikey.Environment `json:"environment,omitzero"` // live unless said otherwise
	ExpiresAt   *time.Time         `json:"expires_at,omitempty"` // nil never
	AllowedIPs  []string           `json:"allowed_ips,omitempty"`
	Permissions []string           `json:"permissions,omitempty"`
	Methods     []string           `json:"methods,omitempty"`
	Endpoints   []string           `json:"endpoints,omitempty"`
	Rules       []Rule             `json:"rules,omitempty"`
	Tags        []string           `json:"tags,omitempty"`
	Metadata    map[string]string  `json:"metadata,omitempty"`
	Import      *Import            `json:"import,omitempty"`
}

// Import brings a key that was made elsewhere, by the hash of its secret:
// apikey.Sum(secret).String().
type Import struct {
	Hash string `json:"hash"`          // SHA-256 of the secret, in 64 hexadecimal digits
	Mask string `json:"mask,omitzero"` // how to show the secret
}

// CreatedKey is a key with a new secret.
type CreatedKey struct {
	Key
	// Secret is shown this once; empty for an imported key.
	Secret string `json:"secret,omitzero"`
}

// CreatedKeys are many keys made together.
type CreatedKeys struct {
	Data []CreatedKey `json:"data"` // in the order they were given in
	// Replayed tells that the same call made them before.
	Replayed bool `json:"-"`
}

// Create makes a key.
func (k Keys) Create(ctx context.Context, key NewKey, opts ...CallOption) (*CreatedKey, error) {
	return object[CreatedKey](ctx, k.client, create("create key", key, opts, "keys"))
}

// CreateMany makes or imports 1 to 1000 keys, all of them or none.
func (k Keys) CreateMany(ctx context.Context, keys []NewKey, opts ...CallOption) (*CreatedKeys, error) {
	return createMany(ctx, k.client, keys, opts)
}

// CreateEncoded is CreateMany of keys that are encoded already, each as a NewKey
// is: who has millions of them encodes each once.
func (k Keys) CreateEncoded(ctx context.Context, keys []json.RawMessage, opts ...CallOption) (*CreatedKeys, error) {
	return createMany(ctx, k.client, keys, opts)
}

func createMany[T any](ctx context.Context, c *Client, keys []T, opts []CallOption) (*CreatedKeys, error) {
	body := struct {
		Keys []T `json:"keys"`
	}{keys}
	var created CreatedKeys
	header, err := c.do(ctx, create("create keys", body, opts, "keys", "bulk"), &created)
	if err != nil {
		return nil, err
	}
	created.Replayed = header.Get("Idempotency-Replayed") == "true"
	return &created, nil
}

// KeyFilter chooses keys; the zero filter chooses all.
type KeyFilter struct {
	Keyspace    string // id or name
	Owner       string // id or external id
	Environment apikey.Environment
	Status      KeyStatus
	Name        string // how the name begins
	Tag         string
}

// List yields keys. It sorts by created_at, updated_at or name.
func (k Keys) List(ctx context.Context, f KeyFilter, page Page) iter.Seq2[Key, error] {
	op := get("list keys", "keys")
	op.query = page.query(map[string]string{
		"keyspace": f.Keyspace, "owner": f.Owner, "environment": string(f.Environment),
		"status": string(f.Status), "name": f.Name, "tag": f.Tag,
	})
	return list[Key](ctx, k.client, op)
}

// Get reads a key.
func (k Keys) Get(ctx context.Context, id string) (*Key, error) {
	return object[Key](ctx, k.client, get("get key", "keys", id))
}

// KeyPatch changes a key.
type KeyPatch struct {
	Name        *string           `json:"name,omitempty"`
	Owner       *string           `json:"owner,omitempty"` // moves the key to another owner
	Plan        *string           `json:"plan,omitempty"`  // of the key's own owner
	ExpiresAt   Change[time.Time] `json:"expires_at,omitzero"`
	AllowedIPs  Change[[]string]  `json:"allowed_ips,omitzero"`
	Permissions Change[[]string]  `json:"permissions,omitzero"`
	Methods     Change[[]string]  `json:"methods,omitzero"`
	Endpoints   Change[[]string]  `json:"endpoints,omitzero"`
	Rules       Change[[]Rule]    `json:"rules,omitzero"` // all of the key's rules
	Tags        Change[[]string]  `json:"tags,omitzero"`
	Metadata    MetadataPatch     `json:"metadata,omitempty"`
}

// Update changes a key that is still at the version given.
func (k Keys) Update(ctx context.Context, id string, version ETag, p KeyPatch) (*Key, error) {
	return object[Key](ctx, k.client, patch("update key", p, version, "keys", id))
}

// Erase erases a key for ever. Revoke it instead to keep it visible.
func (k Keys) Erase(ctx context.Context, id string) error {
	_, err := k.client.do(ctx, erase("erase key", "keys", id), nil)
	return err
}
