package models

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
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

// hashSubjects begins a subject that stands for many that HashSubject makes.
const hashSubjects = "secrets:"

// Invalidations are the rows that tell of what is stale. All hashes of secrets
// are in one row: an import of many keys is read by every process again and
// again while it is recent.
func Invalidations(stale []Dependency) []Invalidation {
	rows, seen, packed := make([]Invalidation, 0, min(len(stale), 8)), map[Subject]bool{}, []byte(nil)
	for _, d := range stale {
		digits, hash := strings.CutPrefix(string(d.Subject), "secret:")
		prefix, err := hex.DecodeString(digits)
		if !hash || err != nil || len(prefix) != 2 {
			rows = append(rows, Invalidation{Subject: d.Subject, Version: d.Version})
		} else if !seen[d.Subject] {
			seen[d.Subject], packed = true, append(packed, prefix...)
		}
	}
	if len(packed) > 0 {
		subject := Subject(hashSubjects + base64.RawStdEncoding.EncodeToString(packed))
		rows = append(rows, Invalidation{Subject: subject, Version: 1})
	}
	return rows
}

// Stale is what the row tells of: the opposite of Invalidations.
func (i *Invalidation) Stale() []Dependency {
	text, many := strings.CutPrefix(string(i.Subject), hashSubjects)
	packed, err := base64.RawStdEncoding.DecodeString(text)
	if !many || err != nil {
		return []Dependency{{Subject: i.Subject, Version: i.Version}}
	}
	list := make([]Dependency, 0, len(packed)/2)
	for prefix := range slices.Chunk(packed, 2) {
		list = append(list, Dependency{Subject: Subject(fmt.Sprintf("secret:%x", prefix)), Version: i.Version})
	}
	return list
}

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
