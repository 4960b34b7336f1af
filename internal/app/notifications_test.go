package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

// received is one webhook that a receiver got.
type received struct {
	id, timestamp, signature string
	body                     []byte
}

// signed tells whether the secret signed it, after Standard Webhooks.
func (r *received) signed(t *testing.T, secret string) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(t, err)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", r.id, r.timestamp, r.body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for signature := range strings.FieldsSeq(r.signature) {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return true
		}
	}
	return false
}

// receiver answers webhooks with the statuses given, then with 204.
func receiver(t *testing.T, statuses ...int) (url string, next func() received) {
	t.Helper()
	came := make(chan received, 100)
	answers := make(chan int, len(statuses))
	for _, status := range statuses {
		answers <- status
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		status := http.StatusNoContent
		select {
		case status = <-answers:
		default:
		}
		w.WriteHeader(status)
		came <- received{r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), r.Header.Get("webhook-signature"), body}
	}))
	t.Cleanup(server.Close)
	return server.URL, func() received {
		t.Helper()
		select {
		case r := <-came:
			return r
		case <-time.After(time.Minute):
			require.Fail(t, "nothing came")
			return received{}
		}
	}
}

// The whole way: notices in the database, one signed webhook for the burst of
// them, a failure, and the same webhook again.
func TestABurstOfNoticesReachesAWebhookOnceItAnswers(t *testing.T) {
	for name, start := range map[string]func(t *testing.T, environ ...string) (*process, *repositories.DB){
		"embedded": func(t *testing.T, environ ...string) (*process, *repositories.DB) {
			dir := t.TempDir()
			p := run(t, config.RoleServe, append(environ, "VIVA_DATA_DIR="+dir)...)
			db, err := repositories.OpenSQLite(t.Context(), filepath.Join(dir, "viva.db"), repositories.Options{})
			require.NoError(t, err)
			return p, db
		},
		"postgres and redis": func(t *testing.T, environ ...string) (*process, *repositories.DB) {
			environ = append(environ, shared(t)...)
			p := run(t, config.RoleAPI, environ...)
			run(t, config.RoleWorker, environ...)
			db, err := repositories.OpenPostgres(t.Context(), string(p.cfg.Database.URL), repositories.Options{})
			require.NoError(t, err)
			return p, db
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, db := start(t, "VIVA_NOTIFY_ALLOW_NETWORKS=127.0.0.1/32", "VIVA_NOTIFY_GROUP_WAIT=200ms")
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			url, next := receiver(t, http.StatusOK, http.StatusServiceUnavailable)
			made := p.do("POST", "/api/v1/destinations", object{"name": "on-call", "type": "webhook", "url": url})
			secret := made["secret"].(string)

			tested := p.do("POST", "/api/v1/destinations/on-call/test", nil)
			require.Equal(t, "delivered", tested["state"], tested)
			first := next()
			require.Equal(t, tested["message_id"], first.id)
			require.True(t, first.signed(t, secret))

			notices := make([]models.Notice, 500)
			for i := range notices {
				notices[i] = models.Notice{DedupKey: fmt.Sprint("test:", i), Event: models.Event{
					Type: models.EventAlertActive, At: time.Now().UTC(), Severity: models.SeverityCritical, Title: fmt.Sprint("Alert ", i),
				}}
			}
			began := time.Now()
			require.NoError(t, repositories.NewNotices(db).Add(t.Context(), notices...))
			failed := next()
			require.Less(t, time.Since(began), 30*time.Second)
			require.True(t, failed.signed(t, secret))
			rotated := p.do("POST", "/api/v1/destinations/on-call/rotate-secret", nil)["secret"].(string)
			again := next()
			require.Equal(t, failed.id, again.id, "the same message")
			require.JSONEq(t, string(failed.body), string(again.body))
			require.True(t, again.signed(t, secret), "by the secret before, for its grace")
			require.True(t, again.signed(t, rotated), "and by the new one")
			require.False(t, failed.signed(t, rotated))

			list := p.do("GET", "/api/v1/deliveries?destination=on-call", nil)["data"].([]any)
			require.Len(t, list, 2, "the test, and one for all 500")
			require.EqualValues(t, 500, list[0].(object)["events"])
			require.Equal(t, failed.id, list[0].(object)["message_id"])
			for _, text := range []string{secret, rotated} {
				require.NotContains(t, p.logs.String(), text)
				audit, err := json.Marshal(p.do("GET", "/api/v1/admin/audit-logs?limit=100", nil))
				require.NoError(t, err)
				require.NotContains(t, string(audit), text)
			}
		})
	}
}
