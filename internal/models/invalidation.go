package models

import (
	"fmt"
	"time"

	"github.com/viva/rate-limiter/pkg/apikey"
)

// Subject names what a cached value was made from, as "kind:id".
type Subject string

// SubjectOf names an object.
func SubjectOf[T ~string](kind string, id T) Subject { return Subject(kind + ":" + string(id)) }

// HashSubject names the secrets whose plain hash begins alike. It is
// invalidated, at version 1, when a secret that was made elsewhere comes into
// being, so that no node goes on believing there is none. Sixteen bits of the
// hash say too little to help in guessing a secret that a pepper protects.
func HashSubject(plain apikey.Hash) Subject { return Subject(fmt.Sprintf("secret:%x", plain[:2])) }

// Invalidation says that everything made from an older version of its subject
// is stale. Its row is written in the transaction of the change.
type Invalidation struct {
	ID        int64 `gorm:"primaryKey"`
	Subject   Subject
	Version   int64
	CreatedAt time.Time
}

// Dependency is one version that a cached value was made from.
type Dependency struct {
	Subject Subject
	Version int64
}

// IdempotencyRecord is the answer to a create call, kept to be given again to
// the same caller for the same key.
type IdempotencyRecord struct {
	// ID is a hash of the caller's token and the Idempotency-Key; neither is
	// stored.
	ID          string `gorm:"primaryKey"`
	RequestHash string
	Status      int
	// Response is the answer, encrypted with a key that only the caller's
	// token and Idempotency-Key yield.
	Response  []byte
	CreatedAt time.Time
	ExpiresAt time.Time
}
