package client

import (
	"context"
	"time"
)

// Rotate gives a key a new secret. The present ones go on working for grace,
// from 0 to 720 hours.
func (k Keys) Rotate(ctx context.Context, id string, grace time.Duration, opts ...CallOption) (*CreatedKey, error) {
	body := struct {
		Grace string `json:"grace"`
	}{FormatDuration(grace)}
	return object[CreatedKey](ctx, k.client, create("rotate key", body, opts, "keys", id, "rotate"))
}

// Revoke refuses a key for ever.
func (k Keys) Revoke(ctx context.Context, id string) (*Key, error) {
	return object[Key](ctx, k.client, post("revoke key", nil, "keys", id, "revoke"))
}

// Suspend refuses a key until the instant given or, where that is zero, until it
// is activated. The reason is for the record and may be empty.
func (k Keys) Suspend(ctx context.Context, id string, until time.Time, reason string) (*Key, error) {
	body := struct {
		Until  time.Time `json:"until,omitzero"`
		Reason string    `json:"reason,omitzero"`
	}{until, reason}
	return object[Key](ctx, k.client, post("suspend key", body, "keys", id, "suspend"))
}

// Activate ends a key's suspension.
func (k Keys) Activate(ctx context.Context, id string) (*Key, error) {
	return object[Key](ctx, k.client, post("activate key", nil, "keys", id, "activate"))
}

// ResetLimits forgets what was counted against a key. What its owner's keys
// count together stays.
func (k Keys) ResetLimits(ctx context.Context, id string) error {
	_, err := k.client.do(ctx, post("reset limits of key", nil, "keys", id, "reset-limits"), nil)
	return err
}

// Lookup finds a key by its secret, which no error repeats.
func (k Keys) Lookup(ctx context.Context, secret string) (*Key, error) {
	body := struct {
		APIKey string `json:"api_key"`
	}{secret}
	return object[Key](ctx, k.client, post("look up key", body, "keys", "lookup"))
}
