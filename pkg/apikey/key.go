// Package apikey is the format of API keys and access tokens: how they are made, recognized,
// hashed and masked. It stores nothing and needs no configuration.
//
// A key is
//
//	viva_live_<32 base62 characters><6 base62 characters>
//
// a prefix of its keyspace, its environment, 32 random characters (190 bits), and a checksum:
// the CRC-32 (IEEE 802.3, as in hash/crc32) of everything before it, as a number in base 62 with
// the digits 0-9A-Za-z, padded with zeros on the left. The checksum proves nothing about who made
// a key; it lets a mistyped or invented one be refused without looking it up, and a secret scanner
// tell a key from noise. An access token of the management API has the same form without an
// environment, vivat_<32><6>, so neither can be taken for the other.
//
// Everything here is safe for concurrent use. Floor F0: imports only the standard library.
package apikey

import (
	"crypto/rand"
	"errors"
	"hash/crc32"
	"strings"
)

// Environment separates keys for real traffic from keys for trying things out.
type Environment string

const (
	Live Environment = "live"
	Test Environment = "test"
)

func (e Environment) valid() bool { return e == Live || e == Test }

// TokenPrefix begins every access token; no keyspace can have it.
const TokenPrefix = "vivat"

const (
	maxPrefix      = 16
	randomLength   = 32
	checksumLength = 6
	payloadLength  = randomLength + checksumLength

	digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

var (
	// ErrMalformed says that a string is not an intact key.
	ErrMalformed = errors.New("apikey: malformed key")
	// ErrPrefix says that a string cannot be the prefix of a keyspace.
	ErrPrefix = errors.New("apikey: a prefix is 1 to 16 characters, words of a-z and 0-9 joined by _, " +
		"begins with a letter, has no word live or test, and is not " + TokenPrefix)
	// ErrEnvironment says that a string is neither Live nor Test.
	ErrEnvironment = errors.New("apikey: an environment is live or test")
)

// Key is what a key says about itself.
type Key struct {
	Prefix      string
	Environment Environment
}

// Generate makes a key. It fails only with ErrPrefix or ErrEnvironment.
func Generate(prefix string, env Environment) (Secret, error) {
	if err := CheckPrefix(prefix); err != nil {
		return Secret{}, err
	}
	if !env.valid() {
		return Secret{}, ErrEnvironment
	}
	return generate(prefix + "_" + string(env) + "_"), nil
}

// GenerateToken makes an access token of the management API.
func GenerateToken() Secret { return generate(TokenPrefix + "_") }

// Parse takes an intact key apart; any other string, an access token included, is ErrMalformed.
// It does not allocate: the parts share s's memory.
func Parse(s string) (Key, error) {
	head, ok := intact(s)
	if !ok {
		return Key{}, ErrMalformed
	}
	i := strings.LastIndexByte(head, '_')
	if i < 0 {
		return Key{}, ErrMalformed
	}
	key := Key{Prefix: head[:i], Environment: Environment(head[i+1:])}
	if CheckPrefix(key.Prefix) != nil || !key.Environment.valid() {
		return Key{}, ErrMalformed
	}
	return key, nil
}

// Valid reports whether s is an intact key, of whatever keyspace.
func Valid(s string) bool {
	_, err := Parse(s)
	return err == nil
}

// ValidToken reports whether s is an intact access token.
func ValidToken(s string) bool {
	head, ok := intact(s)
	return ok && head == TokenPrefix
}

// CheckPrefix returns nil or ErrPrefix. The prefix of a keyspace is 1 to 16 characters: words of
// a-z and 0-9 joined by single underscores, beginning with a letter. No word is live or test, so
// that what precedes the first such word of a key is its prefix; and it is not TokenPrefix.
func CheckPrefix(prefix string) error {
	if len(prefix) == 0 || len(prefix) > maxPrefix || prefix == TokenPrefix {
		return ErrPrefix
	}
	for i := range len(prefix) {
		c := prefix[i]
		letter, digit := 'a' <= c && c <= 'z', '0' <= c && c <= '9'
		if !letter && (i == 0 || !digit && c != '_') {
			return ErrPrefix
		}
	}
	for word := range strings.SplitSeq(prefix, "_") {
		if word == "" || Environment(word).valid() {
			return ErrPrefix
		}
	}
	return nil
}

// intact splits off an underscore and a payload whose checksum holds.
func intact(s string) (head string, ok bool) {
	i := len(s) - payloadLength - 1
	if i < 1 || i > maxPrefix+len("_live") || s[i] != '_' {
		return "", false
	}
	for _, c := range []byte(s[i+1:]) {
		if !isDigit(c) {
			return "", false
		}
	}
	end := len(s) - checksumLength
	return s[:i], checksum(s[:end]) == [checksumLength]byte([]byte(s[end:]))
}

func isDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func checksum(s string) (sum [checksumLength]byte) {
	// crc32.ChecksumIEEE gives the same number, but its argument would move to the heap.
	n := ^uint32(0)
	for i := range len(s) {
		n = crc32.IEEETable[byte(n)^s[i]] ^ n>>8
	}
	n = ^n
	for i := range sum {
		sum[checksumLength-1-i] = digits[n%62]
		n /= 62
	}
	return sum
}

func generate(head string) Secret {
	b := make([]byte, 0, len(head)+payloadLength)
	b = append(b, head...)
	var random [randomLength]byte
	for missing := randomLength; missing > 0; missing = len(head) + randomLength - len(b) {
		rand.Read(random[:missing]) // never fails: it ends the program when the system has no randomness
		b = appendDigits(b, random[:missing])
	}
	sum := checksum(string(b))
	s := string(append(b, sum[:]...))
	return Secret{&s}
}

// appendDigits appends a digit for each random byte below the largest multiple of 62 and drops
// the other bytes, so that every digit is equally likely.
func appendDigits(b, random []byte) []byte {
	const n = byte(len(digits))
	for _, c := range random {
		if c < 255/n*n {
			b = append(b, digits[c%n])
		}
	}
	return b
}
