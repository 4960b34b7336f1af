package models

import (
	"fmt"

	"github.com/google/uuid"
)

// Identifiers are UUIDv7 in text form: unique without coordination, and their
// order is the order of creation to the millisecond.
type (
	KeyspaceID    string
	PlanID        string
	PlanVersionID string
	OwnerID       string
	KeyID         string
	SecretID      string
	TokenID       string
	AuditID       string

	NoticeID      string
	DestinationID string
	DeliveryID    string
	AlertRuleID   string
	AlertID       string
	MaintenanceID string
)

// NewID makes an identifier. It panics only if the system's random source
// fails, after which nothing could be trusted anyway.
func NewID[T ~string]() T { return T(uuid.Must(uuid.NewV7()).String()) }

// ParseID reads an identifier in canonical text form.
func ParseID[T ~string](s string) (T, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return "", fmt.Errorf("not a UUID in its 36-character form")
	}
	return T(id.String()), nil
}
