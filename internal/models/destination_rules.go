package models

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// DestinationTypes lists every type.
var DestinationTypes = []DestinationType{DestinationWebhook, DestinationSlack, DestinationEmail}

// Bounds of destinations.
const (
	MaxDestinations   = 100
	MaxRecipients     = 20
	MaxRatePerMinute  = 6000
	DefaultRatePerMin = 60
	MaxSecretGrace    = 168 * time.Hour
)

// Concealed stands where a secret is not shown.
const Concealed = "…"

// Disabled destinations are told nothing.
func (d *Destination) Disabled() bool { return d.DisabledAt != nil }

// Wants tells whether the destination is to be told of an event: its type and
// severity are asked for and, where it goes to owners, it is about one's own
// account. Alerts are for those who run the service, whomever they are about. An
// event of no severity that is known counts as info: better told than lost.
func (d *Destination) Wants(e *Event) bool {
	if d.Disabled() || max(e.Severity.Rank(), 0) < d.MinSeverity.Rank() {
		return false
	}
	if d.ToOwner && (e.OwnerID == "" || e.Type.Family() != "owner" && e.Type.Family() != "key") {
		return false
	}
	return len(d.Events) == 0 || slices.ContainsFunc(d.Events, func(wanted string) bool {
		family, all := strings.CutSuffix(wanted, ".*")
		return wanted == string(e.Type) || all && family == e.Type.Family()
	})
}

// Family is the part of a type before its dot, by which all its types are asked
// for.
func (t EventType) Family() string {
	family, _, _ := strings.Cut(string(t), ".")
	return family
}

// Rank orders severities: a higher one matters more. What is none ranks lowest.
func (s Severity) Rank() int { return slices.Index(Severities, s) }

// ShownURL is the URL without what opens it: of Slack the host alone, of a
// webhook everything but the query.
func (d *Destination) ShownURL() string {
	if d.URL == "" {
		return ""
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return Concealed
	}
	switch {
	case d.Type == DestinationSlack:
		return u.Scheme + "://" + u.Host + "/" + Concealed
	case u.RawQuery != "":
		return u.Scheme + "://" + u.Host + u.EscapedPath() + "?" + Concealed
	default:
		return u.Scheme + "://" + u.Host + u.EscapedPath()
	}
}

// ShownHeaders are the headers without their values, which may be secrets.
func (d *Destination) ShownHeaders() map[string]string {
	shown := make(map[string]string, len(d.Headers))
	for name := range d.Headers {
		shown[name] = Concealed
	}
	return shown
}

// DestinationState is a destination as the audit log keeps it: without secrets.
type DestinationState struct {
	Destination
	ShownURL     string            `json:"url,omitempty"`
	ShownHeaders map[string]string `json:"headers,omitempty"`
}

// Audited gives the destination for the audit log.
func (d *Destination) Audited() DestinationState {
	state := DestinationState{Destination: *d, ShownURL: d.ShownURL(), ShownHeaders: d.ShownHeaders()}
	// They are left out of the JSON anyway, and are not needed.
	state.Secret, state.SecretPrevious, state.URL, state.Headers = "", "", "", nil
	return state
}
