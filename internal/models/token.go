package models

import (
	"slices"
	"strings"
	"time"

	"github.com/viva/rate-limiter/pkg/apikey"
)

// TokenScope is what the bearer of an access token may do with the service.
// "x:*" holds every scope of x; admin holds all.
type TokenScope string

// The scopes of access tokens.
const (
	ScopeAdmin       TokenScope = "admin"
	ScopeKeysRead    TokenScope = "keys:read"
	ScopeKeysWrite   TokenScope = "keys:write"
	ScopePlansRead   TokenScope = "plans:read"
	ScopePlansWrite  TokenScope = "plans:write"
	ScopeChecksWrite TokenScope = "checks:write"
	ScopeUsageRead   TokenScope = "usage:read"
	ScopeUsageWrite  TokenScope = "usage:write"
	ScopeAlertsRead  TokenScope = "alerts:read" // and destinations and deliveries
	ScopeAlertsWrite TokenScope = "alerts:write"
)

// TokenScopes lists every scope that may be granted.
var TokenScopes = []TokenScope{
	ScopeAdmin, ScopeKeysRead, ScopeKeysWrite, "keys:*",
	ScopePlansRead, ScopePlansWrite, "plans:*", ScopeChecksWrite,
	ScopeUsageRead, ScopeUsageWrite, "usage:*",
	ScopeAlertsRead, ScopeAlertsWrite, "alerts:*",
}

// Roles are named sets of scopes.
var Roles = map[string][]TokenScope{
	"viewer":   {ScopeKeysRead, ScopePlansRead, ScopeUsageRead, ScopeAlertsRead},
	"operator": {"keys:*", "plans:*", ScopeChecksWrite, "usage:*", "alerts:*"},
	"admin":    {ScopeAdmin},
}

// AccessToken opens the management API, and is known by its hash alone.
type AccessToken struct {
	ID        TokenID      `gorm:"primaryKey" json:"id"`
	Name      string       `json:"name,omitempty"`
	Hash      apikey.Hash  `json:"-"`
	Mask      string       `json:"mask,omitempty"`
	Scopes    []TokenScope `gorm:"serializer:json" json:"scopes,omitempty"`
	ExpiresAt *time.Time   `json:"expires_at,omitempty"`
	RevokedAt *time.Time   `json:"revoked_at,omitempty"`
	Version   int64        `json:"version"`
	CreatedAt time.Time    `json:"created_at,omitempty"`
	UpdatedAt time.Time    `json:"updated_at,omitempty"`
}

// Valid tells whether the token is accepted at now.
func (t *AccessToken) Valid(now time.Time) bool {
	return t.RevokedAt == nil && (t.ExpiresAt == nil || now.Before(*t.ExpiresAt))
}

// Holds tells whether the token was granted a scope.
func (t *AccessToken) Holds(scope TokenScope) bool {
	family, _, _ := strings.Cut(string(scope), ":")
	return slices.Contains(t.Scopes, ScopeAdmin) ||
		slices.Contains(t.Scopes, scope) ||
		slices.Contains(t.Scopes, TokenScope(family+":*"))
}

// Dependencies gives the version a cached token is made from.
func (t *AccessToken) Dependencies() []Dependency {
	return []Dependency{{SubjectOf("token", t.ID), t.Version}}
}
