package controllers

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// seal keeps the answers to create calls, which may show a secret, for the
// caller alone who got them. Everything comes from the caller's access token
// (190 random bits, of which only a hash is stored) and its Idempotency-Key
// (of which nothing is): HKDF-SHA-256 with the token as the key material and
// the Idempotency-Key as the salt yields the name of the record, the key of
// the request's digest and the key of the answer. Without both, a record tells
// its time, its status and its length.
type seal struct{ token, key string }

// The uses that derived keys are kept apart by.
const (
	sealName    = "viva idempotency 1: record"
	sealRequest = "viva idempotency 1: request"
	sealAnswer  = "viva idempotency 1: answer"
)

func (s seal) derive(use string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(s.token), []byte(s.key), use, sha256.Size)
	if err != nil {
		panic(fmt.Sprintf("controllers: HKDF refuses 32 bytes: %v", err))
	}
	return key
}

// name gives the id of the record.
func (s seal) name() string { return hex.EncodeToString(s.derive(sealName)) }

// request gives the digest of a request: without the token it cannot be
// compared with guesses.
func (s seal) request(method, path string, body []byte) string {
	mac := hmac.New(sha256.New, s.derive(sealRequest))
	fmt.Fprintf(mac, "%d %s %d %s %d ", len(method), method, len(path), path, len(body))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// encrypt seals an answer by AES-256-GCM under a random nonce, which precedes
// it, bound to the request it answers.
func (s seal) encrypt(answer []byte, request string) []byte {
	aead := s.aead()
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(answer)+aead.Overhead())
	rand.Read(nonce) // never fails
	return aead.Seal(nonce, nonce, answer, []byte(request))
}

// decrypt opens what encrypt sealed.
func (s seal) decrypt(sealed []byte, request string) ([]byte, error) {
	aead := s.aead()
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("sealed answer is too short")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(request))
}

func (s seal) aead() cipher.AEAD {
	block, err := aes.NewCipher(s.derive(sealAnswer))
	if err != nil {
		panic(fmt.Sprintf("controllers: AES refuses a key of 32 bytes: %v", err))
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Sprintf("controllers: GCM refuses AES: %v", err))
	}
	return aead
}
