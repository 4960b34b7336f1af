package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

const secretPrefix = "whsec_"

// The lengths of a secret's bytes, as the specification bounds them.
const minSecret, maxSecret = 24, 64

// keyOf reads the bytes of a secret. Its errors do not show it.
func keyOf(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < minSecret || len(key) > maxSecret {
		return nil, errors.New("must be " + secretPrefix + " and the base64 of 24 to 64 bytes")
	}
	return key, nil
}

// sign is one signature of the specification's version 1.
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signatures signs with the secret, and with the one before it while that is
// still valid: receivers change over in between. The first is the new one's.
func signatures(d *models.Destination, id string, now time.Time, body []byte) (timestamp, header string, err error) {
	key, err := keyOf(d.Secret)
	if err != nil {
		return "", "", err
	}
	timestamp = strconv.FormatInt(now.Unix(), 10)
	header = sign(key, id, timestamp, body)
	if d.SecretPrevious == "" || d.SecretPreviousUntil == nil || !d.SecretPreviousUntil.After(now) {
		return timestamp, header, nil
	}
	if key, err = keyOf(d.SecretPrevious); err != nil {
		return "", "", err
	}
	return timestamp, header + " " + sign(key, id, timestamp, body), nil
}
