// Package notify tells people and programs what happened: webhooks after the
// Standard Webhooks specification, incoming webhooks of Slack, and email.
//
// It makes one attempt and says how that went; when to try again is decided
// elsewhere. Nothing that it reports of an attempt holds a secret.
//
// Floor F3. It may import models, services and the packages of floor F0.
package notify

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// The longest that one attempt may take, unless Options say otherwise.
const (
	httpTimeout = 10 * time.Second
	smtpTimeout = 20 * time.Second // some servers make a stranger wait before they greet
)

// Options are what a Sender is made with.
type Options struct {
	Version string // of this program, told to receivers
	// AllowNetworks are addresses that webhooks may reach although they are not
	// public, and without TLS.
	AllowNetworks []netip.Prefix
	AllowHTTP     bool // whether webhooks may go without TLS anywhere
	SMTP          SMTP // without its Addr, no email can be sent

	RootCAs  *x509.CertPool   // whose certificates are believed; nil for those of the system
	Resolver *net.Resolver    // what finds the addresses of webhooks; nil for the system's
	Timeout  time.Duration    // of an attempt over HTTP; 0 for ten seconds
	Now      func() time.Time // nil for the system's clock
}

// SMTP is the operator's mail server. Its address is not filtered.
type SMTP struct {
	Addr     string // host:port
	Username string // empty sends without logging in
	Password string
	From     string        // an address, with or without a name before it
	TLS      string        // starttls, implicit or none
	Timeout  time.Duration // of an attempt; 0 for twenty seconds
}

// The values of SMTP.TLS. Empty is TLSStart.
const (
	TLSStart    = "starttls"
	TLSImplicit = "implicit"
	TLSNone     = "none"
)

// Sender sends messages to destinations. It is safe for concurrent use.
type Sender struct {
	options Options
	allowed networks
	client  *http.Client
	agent   string
	reached reached
}

// New makes a Sender. It opens nothing until something is sent.
func New(o Options) *Sender {
	if o.Timeout == 0 {
		o.Timeout = httpTimeout
	}
	if o.SMTP.Timeout == 0 {
		o.SMTP.Timeout = smtpTimeout
	}
	if o.SMTP.TLS == "" {
		o.SMTP.TLS = TLSStart
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sender{options: o, allowed: allowing(o.AllowNetworks), agent: "viva"}
	if version := strings.Trim(o.Version, "()"); version != "" { // of a build without one, "(devel)"
		s.agent += "/" + version
	}
	s.client = newClient(o, s.allowed)
	return s
}

// Send makes one attempt to tell d of m. An email goes to the address to, where
// one is given, instead of those of d. However it fails, the answer says so:
// what is neither Gone nor Hopeless may be tried again. It takes at most ten
// seconds over HTTP and twenty over SMTP, and less if ctx ends.
func (s *Sender) Send(ctx context.Context, d *models.Destination, to string, m *models.Message) models.Sent {
	switch d.Type {
	case models.DestinationWebhook:
		return s.sendWebhook(ctx, d, m)
	case models.DestinationSlack:
		return s.sendSlack(ctx, d, m)
	case models.DestinationEmail:
		return s.sendEmail(ctx, d, to, m)
	}
	return models.Sent{Error: "this version knows no such type of destination"}
}

// Close gives back the connections that are kept for the next message. The
// Sender can still be used.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// hopeless is an attempt that was not made because it could not succeed.
func hopeless(why string) models.Sent { return models.Sent{Hopeless: true, Error: why} }
