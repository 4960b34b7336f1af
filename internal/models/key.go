package models

import (
	"net/netip"
	"strings"
	"time"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// KeyStatus is what a key is at an instant.
type KeyStatus string

// The statuses of a key.
const (
	KeyActive    KeyStatus = "active"
	KeySuspended KeyStatus = "suspended"
	KeyExpired   KeyStatus = "expired"
	KeyRevoked   KeyStatus = "revoked"
)

// APIKey is what the holder of one of its secrets may do.
type APIKey struct {
	ID          KeyID              `gorm:"primaryKey" json:"id"`
	KeyspaceID  KeyspaceID         `json:"keyspace_id,omitempty"`
	OwnerID     OwnerID            `json:"owner_id,omitempty"`
	Name        string             `json:"name,omitempty"`
	Environment apikey.Environment `json:"environment,omitempty"`
	ExpiresAt   *time.Time         `json:"expires_at,omitempty"`
	// ExpiryNotedAt is when it was recorded and told that the key had expired.
	ExpiryNotedAt *time.Time `json:"-"`
	RevokedAt     *time.Time `json:"revoked_at,omitempty"`
	// Suspended keys are refused until SuspendedUntil, or until activated
	// where that is nil.
	SuspendedAt    *time.Time `json:"suspended_at,omitempty"`
	SuspendedUntil *time.Time `json:"suspended_until,omitempty"`
	SuspendReason  string     `json:"suspend_reason,omitempty"`
	AllowedIPs     []string   `gorm:"serializer:json;column:allowed_ips" json:"allowed_ips,omitempty"` // CIDR; empty allows all
	Permissions    []string   `gorm:"serializer:json" json:"permissions,omitempty"`
	// Methods and Endpoints restrict what may be called; empty allows all.
	Methods   []string          `gorm:"serializer:json" json:"methods,omitempty"`
	Endpoints []string          `gorm:"serializer:json" json:"endpoints,omitempty"`
	Rules     []Rule            `gorm:"serializer:json" json:"rules,omitempty"`
	Tags      []string          `gorm:"serializer:json" json:"tags,omitempty"`
	Metadata  map[string]string `gorm:"serializer:json" json:"metadata,omitempty"`
	Version   int64             `json:"version"`
	CreatedAt time.Time         `json:"created_at,omitempty"`
	UpdatedAt time.Time         `json:"updated_at,omitempty"`
}

// Status tells what the key is at now. Revocation is for ever and hides the
// rest; expiry hides suspension.
func (k *APIKey) Status(now time.Time) KeyStatus {
	switch {
	case k.RevokedAt != nil:
		return KeyRevoked
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return KeyExpired
	case k.SuspendedAt != nil && (k.SuspendedUntil == nil || now.Before(*k.SuspendedUntil)):
		return KeySuspended
	default:
		return KeyActive
	}
}

// Revoke refuses the key for ever. Revoking twice keeps the first instant.
func (k *APIKey) Revoke(now time.Time) {
	if k.RevokedAt == nil {
		k.RevokedAt = &now
	}
}

// Suspend refuses the key until the given instant, or until it is activated
// where until is nil.
func (k *APIKey) Suspend(now time.Time, until *time.Time, reason string) error {
	if k.RevokedAt != nil {
		return apierror.New(apierror.CodeConflict, "A revoked key cannot be suspended")
	}
	var v apierror.Validator
	v.Check(until == nil || until.After(now), "until", "must be in the future")
	ValidateInstant(&v, "until", until)
	ValidateText(&v, "reason", reason, MaxReason)
	if err := v.Err(); err != nil {
		return err
	}
	k.SuspendedAt, k.SuspendedUntil, k.SuspendReason = &now, NormalizeInstant(until), reason
	return nil
}

// Activate ends a suspension.
func (k *APIKey) Activate() error {
	if k.RevokedAt != nil {
		return apierror.New(apierror.CodeConflict, "A revoked key cannot be activated: create a new one")
	}
	k.SuspendedAt, k.SuspendedUntil, k.SuspendReason = nil, nil, ""
	return nil
}

// Secret is one string that opens a key, known by its hash alone.
type Secret struct {
	ID    SecretID `gorm:"primaryKey" json:"id"`
	KeyID KeyID    `json:"key_id,omitempty"`
	// Hash is SHA-256 of the string, or its HMAC under the pepper named.
	Hash      apikey.Hash `json:"-"`
	PepperID  string      `json:"pepper_id,omitempty"`
	Mask      string      `json:"mask,omitempty"`
	Imported  bool        `json:"imported,omitempty"`
	ExpiresAt *time.Time  `json:"expires_at,omitempty"` // the end of a rotation's grace
	CreatedAt time.Time   `json:"created_at,omitempty"`
}

// Valid tells whether the secret still opens its key at now.
func (s *Secret) Valid(now time.Time) bool {
	return s.ExpiresAt == nil || now.Before(*s.ExpiresAt)
}

// Normalize fills what was left out of the key's rules, which count it alone,
// and writes addresses as CIDR, methods in upper case and instants as stored.
func (k *APIKey) Normalize() {
	NormalizeRules(k.Rules, ScopeKey)
	k.ExpiresAt = NormalizeInstant(k.ExpiresAt)
	for i, text := range k.AllowedIPs {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			k.AllowedIPs[i] = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()).String()
		} else if prefix, err := netip.ParsePrefix(text); err == nil {
			k.AllowedIPs[i] = unmap(prefix.Masked()).String()
		}
	}
	for i, method := range k.Methods {
		k.Methods[i] = strings.ToUpper(method)
	}
}

// unmap writes a network of IPv4-mapped addresses as the IPv4 network it is:
// addresses are compared in that form.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// Validate checks what the caller chose of a normalized key.
func (k *APIKey) Validate(v *apierror.Validator) {
	ValidateName(v, "name", k.Name)
	ValidateInstant(v, "expires_at", k.ExpiresAt)
	v.Checkf(len(k.AllowedIPs) <= MaxAllowedIPs, "allowed_ips", "must hold at most %d networks", MaxAllowedIPs)
	for i, text := range k.AllowedIPs[:min(len(k.AllowedIPs), MaxAllowedIPs)] {
		_, err := netip.ParsePrefix(text)
		v.In("allowed_ips", i).Check(err == nil, "", `must be an address or a network such as "10.0.0.0/8"`)
	}
	ValidateWords(v, "permissions", k.Permissions, MaxPermissions, MaxPermission)
	ValidateMatch(v, k.Methods, k.Endpoints)
	ValidateRules(v, k.Rules, ScopeKey)
	ValidateWords(v, "tags", k.Tags, MaxTags, MaxTag)
	ValidateMetadata(v, k.Metadata)
}
