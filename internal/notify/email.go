package notify

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	html "html/template"
	"maps"
	netmail "net/mail"
	"slices"
	"strings"
	text "text/template"

	"github.com/wneessen/go-mail"

	"github.com/viva/rate-limiter/internal/models"
)

//go:embed templates/*.tmpl
var templates embed.FS

var (
	textTemplate = text.Must(text.ParseFS(templates, "templates/message.txt.tmpl"))
	htmlTemplate = html.Must(html.ParseFS(templates, "templates/message.html.tmpl"))
)

// maxSubject keeps the subject to what mail programs show of it.
const maxSubject = 150

var colors = map[models.Severity]string{
	models.SeverityInfo: "#0969da", models.SeverityWarning: "#bf8700", models.SeverityCritical: "#cf222e",
}

// letter is what the templates render: cleaned values, escaped by the one for HTML.
type letter struct {
	Subject string
	Events  []letterEvent
	More    int
}

type letterEvent struct {
	Title, Text, At, Owner, Key string
	Severity                    models.Severity
	Color                       string
	Data                        []letterField
}

type letterField struct{ Name, Value string }

// letterOf makes a letter of a message. What goes to an owner says nothing that
// is for operators: no severity in the subject, no data.
func letterOf(m *models.Message, owner bool) letter {
	l := letter{Subject: headline(m), More: m.Omitted}
	if !owner {
		l.Subject = "[" + string(worst(m.Events)) + "] " + l.Subject
	}
	l.Subject = cut(l.Subject, maxSubject)
	for i := range m.Events {
		e := &m.Events[i]
		one := letterEvent{
			Title: oneLine(e.Title), Text: clean(e.Text), At: stamp(e.At), Owner: oneLine(e.Owner), Key: oneLine(string(e.KeyID)),
			Severity: e.Severity, Color: colors[e.Severity],
		}
		if !owner {
			for _, name := range slices.Sorted(maps.Keys(e.Data)) {
				one.Data = append(one.Data, letterField{oneLine(name), oneLine(e.Data[name])})
			}
		}
		l.Events = append(l.Events, one)
	}
	return l
}

// compose writes the mail. Its Message-ID is the same at every attempt, so that
// a receiver who got it twice can tell.
func (s *Sender) compose(from *netmail.Address, to []string, m *models.Message, owner bool) (mailed *mail.Msg, plain string, err error) {
	l := letterOf(m, owner)
	var asText, asHTML bytes.Buffer
	if err := textTemplate.Execute(&asText, l); err != nil {
		return nil, "", fmt.Errorf("write the mail's text: %w", err)
	}
	if err := htmlTemplate.Execute(&asHTML, l); err != nil {
		return nil, "", fmt.Errorf("write the mail's HTML: %w", err)
	}
	msg := mail.NewMsg()
	msg.FromMailAddress(from)
	addresses := make([]*netmail.Address, len(to))
	for i, address := range to {
		addresses[i] = &netmail.Address{Address: address}
	}
	msg.ToMailAddress(addresses...)
	msg.Subject(l.Subject)
	msg.SetDateWithValue(m.At.UTC())
	msg.SetMessageIDWithValue(messageID(m.ID, from.Address))
	msg.SetUserAgent(s.agent)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's absence answers it
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetBodyString(mail.TypeTextPlain, asText.String())
	msg.AddAlternativeString(mail.TypeTextHTML, asHTML.String())
	return msg, "Subject: " + l.Subject + "\nMessage-ID: <" + messageID(m.ID, from.Address) + ">\n\n" + asText.String(), nil
}

// messageID is an id in the sender's domain. What could not stand in one is
// replaced by its hash.
func messageID(id, from string) string {
	if id == "" || len(id) > 64 || strings.Trim(id, labelChars) != "" {
		sum := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(sum[:16])
	}
	return id + from[strings.LastIndexByte(from, '@'):]
}
