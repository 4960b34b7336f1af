package models

import (
	"context"
	"encoding/json"
	"time"
)

// Actor is who makes a change, and from where.
type Actor struct {
	Kind      string // token, cli, system
	ID        string
	Name      string
	IP        string
	RequestID string
}

type actorKey struct{}

// WithActor returns a context that carries who acts in it.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom tells who acts; without one it is the system itself.
func ActorFrom(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Kind: "system"}
}

// AuditEntry records one change: who made it, to what, from where, and the
// object before and after, secrets masked.
type AuditEntry struct {
	ID         AuditID `gorm:"primaryKey"`
	At         time.Time
	ActorKind  string
	ActorID    string
	ActorName  string
	Action     string // "key.revoke"
	ObjectKind string // "key"
	ObjectID   string
	Before     json.RawMessage `gorm:"column:before_state;serializer:json"`
	After      json.RawMessage `gorm:"column:after_state;serializer:json"`
	IP         string
	RequestID  string
	// Objects are the ids of what was changed where that was many at once;
	// ObjectID is empty then.
	Objects []string `gorm:"-"`
}

// TableName is the name of its table: a row is a line of a log.
func (AuditEntry) TableName() string { return "audit_logs" }

// Change is what a service tells of a change it made; Before is nil for a
// creation and After for an erasure.
type Change struct {
	Action     string
	ObjectKind string
	ObjectID   string
	// Objects are the ids of what was changed where that was many at once, told of
	// by one entry; ObjectID is empty then.
	Objects []string
	Before  any
	After   any
	// Stale lists the versions now in force: what was made from older ones is
	// stale on every node.
	Stale []Dependency
}
