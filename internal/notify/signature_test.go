package notify

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
)

// The vector of the libraries of Standard Webhooks.
func TestSignatureOfTheSpecification(t *testing.T) {
	key, err := keyOf(testSecret)
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)))
}

func TestPreviousSecretSignsUntilItsEnd(t *testing.T) {
	until := noon
	d := &models.Destination{Secret: otherSecret, SecretPrevious: testSecret, SecretPreviousUntil: &until}
	for name, row := range map[string]struct {
		now  time.Time
		want int
	}{
		"before": {noon.Add(-time.Nanosecond), 2}, "at the end": {noon, 1}, "after": {noon.Add(time.Hour), 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, header, err := signatures(d, "id", row.now, nil)
			require.NoError(t, err)
			require.Len(t, strings.Split(header, " "), row.want)
		})
	}
	d.SecretPreviousUntil = nil
	_, header, err := signatures(d, "id", noon, nil)
	require.NoError(t, err)
	require.NotContains(t, header, " ")
}

func TestSecretsThatCannotSign(t *testing.T) {
	for name, secret := range map[string]string{
		"none": "", "without its prefix": testSecret[6:], "not base64": "whsec_hunter2hunter2hunter2hunter2!",
		"too short": "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23)),
		"too long":  "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)),
	} {
		t.Run(name, func(t *testing.T) {
			sent := newSender(t, Options{}).Send(t.Context(), &models.Destination{Type: "webhook", URL: "https://a.example", Secret: secret}, "", message(1))
			require.Equal(t, models.Sent{Hopeless: true, Error: "secret: must be whsec_ and the base64 of 24 to 64 bytes"}, sent)
		})
	}
}
