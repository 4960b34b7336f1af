package notify

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/viva/rate-limiter/internal/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

var (
	noon     = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
)

// newSender makes a sender whose connections end with the test.
func newSender(t *testing.T, o Options) *Sender {
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	s := New(o)
	t.Cleanup(s.Close)
	return s
}

// message tells of that many events.
func message(count int) *models.Message {
	m := &models.Message{ID: "0199-m1", At: noon.Add(3 * time.Second)}
	for i := range count {
		m.Events = append(m.Events, models.Event{
			ID: models.NoticeID("n" + string(rune('a'+i%26))), Type: models.EventAlertActive, Severity: models.SeverityWarning,
			At:    noon.Add(time.Duration(i) * time.Millisecond).In(time.FixedZone("x", 3600)),
			Title: "Quota nearly spent", Text: "90 % of the month's calls are used.",
			OwnerID: "o1", Owner: "acme", KeyID: "k1", Data: map[string]string{"alert_id": "a1", "rule": "quota"},
		})
	}
	return m
}

func webhook(url string) *models.Destination {
	return &models.Destination{ID: "d1", Type: models.DestinationWebhook, URL: url, Secret: testSecret}
}

// A receiver is a real server over TLS that keeps what it gets.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	got  []*http.Request
	body []string
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.got, r.body = append(r.got, req), append(r.body, string(body))
		r.mu.Unlock()
		answer(w, req)
	}))
	r.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that break off belong to the tests
	r.EnableHTTP2 = true
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

// requests are those that came so far, each with its body.
func (r *receiver) requests() ([]*http.Request, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*http.Request{}, r.got...), append([]string{}, r.body...)
}

func (r *receiver) trusted() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate())
	return pool
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func TestUnknownTypeIsTriedByALaterVersion(t *testing.T) {
	sent := newSender(t, Options{}).Send(t.Context(), &models.Destination{Type: "pager"}, "", message(1))
	require.Equal(t, models.Sent{Error: "this version knows no such type of destination"}, sent)
}

func TestTextThatIsKept(t *testing.T) {
	require.Equal(t, "a\tb\nc\uFFFDd", clean("a\tb\r\nc\xffd\x00\x1b"))
	require.Equal(t, "a b c d", oneLine("a\r\nb\u2028c\t\x00d"))
	require.Equal(t, "日…", cut("日本語", 8))
	require.Equal(t, "日本語", cut("日本語", 9))
	for most := 3; most < 12; most++ {
		require.LessOrEqual(t, len(cut(strings.Repeat("é", 20), most)), most)
	}
	require.Equal(t, models.SeverityInfo, worst(nil))
	require.Equal(t, models.SeverityCritical, worst([]models.Event{{Severity: "critical"}, {Severity: "info"}, {Severity: "?"}}))
}
