package notifications

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// The form of secrets, as Standard Webhooks has it.
const (
	secretPrefix  = "whsec_"
	secretBytes   = 32
	leastSecret   = 24
	mostSecret    = 64
	defaultGrace  = 24 * time.Hour
	secretRefused = `must be "whsec_" and the base64 of 24 to 64 bytes`
)

func newSecret() string {
	var secret [secretBytes]byte
	rand.Read(secret[:]) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(secret[:])
}

// validSecret tells whether a secret that somebody brings can sign.
func validSecret(s string) bool {
	text, ok := strings.CutPrefix(s, secretPrefix)
	if !ok || len(text) > base64.StdEncoding.EncodedLen(mostSecret) {
		return false
	}
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(data) >= leastSecret && len(data) <= mostSecret
}

// Rotation gives a destination another secret.
type Rotation struct {
	Secret string // the caller's own; made here where it is empty
	// Grace is how long the present secret signs as well; 24 h where it is nil.
	Grace *time.Duration
}

// Rotate gives a webhook another secret, which is returned this once. Until the
// grace is over, both sign; a secret from before the present one signs no more.
func (s *Service) Rotate(ctx context.Context, ref string, r Rotation) (d models.Destination, secret string, err error) {
	grace := defaultGrace
	if r.Grace != nil {
		grace = *r.Grace
	}
	var v apierror.Validator
	v.Check(grace >= 0 && grace <= models.MaxSecretGrace, "grace", "must be from 0s to 168h")
	v.Check(r.Secret == "" || validSecret(r.Secret), "secret", secretRefused)
	if err := v.Err(); err != nil {
		return models.Destination{}, "", err
	}
	secret = r.Secret
	if secret == "" {
		secret = newSecret()
	}
	d, err = s.change(ctx, ref, 0, "destination.rotate_secret", func(_ context.Context, d *models.Destination) (bool, error) {
		if d.Type != models.DestinationWebhook {
			return false, apierror.New(apierror.CodeConflict, "Only webhooks are signed: this destination has no secret")
		}
		if d.Secret == secret {
			return false, apierror.Invalid(apierror.Field{In: apierror.Body, Name: "secret", Detail: "must not be the present one"})
		}
		previous := d.Secret
		d.Secret, d.SecretPrevious, d.SecretPreviousUntil = secret, "", nil
		if grace > 0 {
			until := s.now().Add(grace)
			d.SecretPrevious, d.SecretPreviousUntil = previous, &until
		}
		return true, nil
	})
	return d, secret, err
}
