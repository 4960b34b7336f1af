package models

import "github.com/viva/rate-limiter/pkg/apikey"

// Pepper is a key kept outside the database, under which hashes of secrets are
// stored.
type Pepper struct {
	// ID tells peppers apart without telling anything of them.
	ID    string
	bytes []byte
}

// NewPepper makes a pepper. Its id follows from its bytes, so that every node
// gives it the same.
func NewPepper(bytes []byte) Pepper {
	id := apikey.Sum("viva pepper id").Pepper(bytes)
	return Pepper{ID: id.String()[:8], bytes: bytes}
}

// Peppers are the pepper in use and those before it, newest first. None means
// that plain hashes are stored.
type Peppers []Pepper

// Seal gives the form in which the hash of a secret is stored, and the id of
// the pepper it was made with.
func (p Peppers) Seal(hash apikey.Hash) (apikey.Hash, string) {
	if len(p) == 0 {
		return hash, ""
	}
	return hash.Pepper(p[0].bytes), p[0].ID
}

// Candidates gives every form in which the hash may have been stored, the one
// in use first.
func (p Peppers) Candidates(hash apikey.Hash) []apikey.Hash {
	list := make([]apikey.Hash, 0, len(p)+1)
	for _, pepper := range p {
		list = append(list, hash.Pepper(pepper.bytes))
	}
	return append(list, hash)
}
