package models

import "time"

// DefaultKeyspace is the name of the keyspace that is seeded, and used where a
// key is made without naming one.
const DefaultKeyspace = "default"

// Keyspace is an API product that keys open. Every key lives in one.
type Keyspace struct {
	ID   KeyspaceID `gorm:"primaryKey" json:"id"`
	Name string     `json:"name,omitempty"`
	// Prefix begins every secret generated in the keyspace. It never changes:
	// what is printed on keys in the field cannot be called back.
	Prefix      string `json:"prefix,omitempty"`
	Description string `json:"description,omitempty"`
	// Imported tells that keys made elsewhere may be looked up: it is set by
	// the first import and opens the check to strings without a checksum.
	Imported  bool              `json:"imported,omitempty"`
	Metadata  map[string]string `gorm:"serializer:json" json:"metadata,omitempty"`
	Version   int64             `json:"version"`
	CreatedAt time.Time         `json:"created_at,omitempty"`
	UpdatedAt time.Time         `json:"updated_at,omitempty"`
}
