package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// ErrHash says that a string is not the hexadecimal form of a Hash.
var ErrHash = errors.New("apikey: a hash is 64 hexadecimal digits")

// Hash is the SHA-256 of a key, what is stored in the key's place. A slow hash would add nothing:
// a generated key has 190 random bits, far beyond guessing. Imported keys may have fewer;
// a pepper protects them too.
type Hash [sha256.Size]byte

// Sum hashes a key or a token as it was presented. It does not allocate for an opaque string.
func Sum(s string) Hash {
	var onStack [maxOpaque]byte
	return sha256.Sum256(append(onStack[:0], s...))
}

// ParseHash reads what String wrote; upper case is accepted. It fails with ErrHash.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != hex.EncodedLen(len(h)) {
		return Hash{}, ErrHash
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, ErrHash
	}
	return h, nil
}

// Pepper returns HMAC-SHA256(pepper, h): a hash that cannot be checked against guesses without
// the pepper, which is kept apart from the database. Use a pepper of at least 32 random bytes.
func (h Hash) Pepper(pepper []byte) Hash {
	mac := hmac.New(sha256.New, pepper)
	mac.Write(h[:])
	return Hash(mac.Sum(nil))
}

// String returns 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }
