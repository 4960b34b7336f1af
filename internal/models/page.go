package models

// Page asks for one page of a list.
type Page struct {
	Limit int
	// Sort is a field of the list's allow-list, "-" before it for descending;
	// ties are broken by id. Empty means "-created_at".
	Sort string
	// After is the last row of the page before: its sort value and its id.
	After *Position
}

// Bounds of a page.
const (
	DefaultPageLimit = 50
	MaxPageLimit     = 1000
)

// Position is a place in a sorted list.
type Position struct {
	Value string // the sort field in text; times as RFC 3339 with nanoseconds
	ID    string
}

// KeyFilter narrows a list of keys; zero fields match all.
type KeyFilter struct {
	KeyspaceID  KeyspaceID
	OwnerID     OwnerID
	Environment string
	Status      KeyStatus
	Name        string // prefix, case-sensitive
	Tag         string
}

// OwnerFilter narrows a list of owners; zero fields match all.
type OwnerFilter struct {
	PlanID          PlanID
	Name            string // prefix
	Implicit        *bool
	IncludeArchived bool
}

// AuditFilter narrows a list of audit entries; zero fields match all.
type AuditFilter struct {
	ObjectKind string
	ObjectID   string
	ActorID    string
	Action     string
}
