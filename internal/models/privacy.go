package models

import (
	"net/netip"
	"time"
)

// DataSubject is whom stored data is about: one key, or one owner with the keys
// it holds.
type DataSubject struct {
	Kind string // SubjectKey or SubjectOwner
	ID   string
}

// The kinds of data subjects.
const (
	SubjectKey   = "key"
	SubjectOwner = "owner"
)

// DataOfKey is what is stored about one key.
func DataOfKey(id KeyID) DataSubject { return DataSubject{SubjectKey, string(id)} }

// DataOfOwner is what is stored about one owner.
func DataOfOwner(id OwnerID) DataSubject { return DataSubject{SubjectOwner, string(id)} }

// Owns tells whether a record is about the subject.
func (s DataSubject) Owns(r *Record) bool {
	return s == DataOfKey(r.KeyID) || s == DataOfOwner(r.Segment.OwnerID)
}

// ActionErasePersonalData ends the action that the audit log has of an erasure:
// "key.erase_personal_data".
const ActionErasePersonalData = ".erase_personal_data"

// Erasure says when the personal data of a subject was last erased.
type Erasure struct {
	SubjectKind string `gorm:"primaryKey"`
	SubjectID   string `gorm:"primaryKey"`
	ErasedAt    time.Time
}

// Subject gives whom the erasure is about.
func (e *Erasure) Subject() DataSubject { return DataSubject{e.SubjectKind, e.SubjectID} }

// ErasedRows counts the rows that an erasure has emptied.
type ErasedRows struct {
	Logs       int64
	Violations int64
	AuditLogs  int64
}

// Anonymize takes from a record where it came from.
func (r *Record) Anonymize() {
	r.IP, r.UserAgent = netip.Addr{}, ""
}
