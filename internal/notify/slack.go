package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// The bounds of a message in Slack. Its own are 50 blocks, and 3000 characters
// in each.
const (
	slackEvents  = 20
	slackSection = 2900
	slackTitle   = 300
	slackName    = 150
)

// emoji lets a reader see from afar how much an event matters.
var emoji = map[models.Severity]string{
	models.SeverityInfo: ":information_source:", models.SeverityWarning: ":warning:", models.SeverityCritical: ":rotating_light:",
}

var slackEscapes = map[rune]string{'&': "&amp;", '<': "&lt;", '>': "&gt;"}

type slackMessage struct {
	Text   string       `json:"text"` // what notifications and old clients show
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

// slackText is verbatim: Slack links nothing in it by itself.
type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim"`
}

func mrkdwn(text string) slackText { return slackText{Type: "mrkdwn", Text: text, Verbatim: true} }

func (s *Sender) sendSlack(ctx context.Context, d *models.Destination, m *models.Message) models.Sent {
	body, err := json.Marshal(slackOf(m))
	if err != nil {
		return hopeless("the message cannot be written as JSON: " + err.Error())
	}
	return s.post(ctx, post{to: d, body: body, header: http.Header{}})
}

func slackOf(m *models.Message) slackMessage {
	listed := m.Events[:min(len(m.Events), slackEvents)]
	more := len(m.Events) - len(listed) + m.Omitted
	head := emoji[worst(m.Events)] + " " + slackEscape(headline(m), slackTitle)
	message := slackMessage{Text: head}
	if len(m.Events) != 1 || more > 0 {
		message.add("section", "*"+head+"*")
	}
	for i := range listed {
		message.add("section", slackEvent(&listed[i]))
	}
	if more > 0 {
		message.add("context", fmt.Sprintf("and %d more", more))
	}
	return message
}

func (m *slackMessage) add(kind, text string) {
	block, t := slackBlock{Type: kind}, mrkdwn(text)
	if kind == "context" {
		block.Elements = []slackText{t}
	} else {
		block.Text = &t
	}
	m.Blocks = append(m.Blocks, block)
}

// slackEvent is a title, what there is to say, and whom it concerns since when.
func slackEvent(e *models.Event) string {
	head := emoji[e.Severity] + " *" + slackEscape(oneLine(e.Title), slackTitle) + "*\n"
	var foot []string
	if e.Owner != "" {
		foot = append(foot, "owner "+slackEscape(oneLine(e.Owner), slackName))
	}
	if e.KeyID != "" {
		foot = append(foot, "key "+slackEscape(oneLine(string(e.KeyID)), slackName))
	}
	tail := strings.Join(append(foot, stamp(e.At)), " · ")
	if e.Text != "" {
		head += slackEscape(clean(e.Text), slackSection-len(head)-len(tail)-1) + "\n"
	}
	return head + tail
}

// slackEscape makes text that mentions nobody and links nowhere, of at most that
// many bytes, cut between characters.
func slackEscape(text string, most int) string {
	const mark = "…"
	var b strings.Builder
	end := 0 // where a mark still fits
	for _, r := range text {
		part, ok := slackEscapes[r]
		if !ok {
			part = string(r)
		}
		if b.Len()+len(part) > most {
			return b.String()[:end] + mark
		}
		b.WriteString(part)
		if b.Len()+len(mark) <= most {
			end = b.Len()
		}
	}
	return b.String()
}

// headline says in a line what a message tells.
func headline(m *models.Message) string {
	count := len(m.Events) + m.Omitted
	switch {
	case len(m.Events) == 0:
		return fmt.Sprintf("%d events", count)
	case count == 1:
		return oneLine(m.Events[0].Title)
	}
	return fmt.Sprintf("%d events: %s and more", count, oneLine(m.Events[0].Title))
}

// stamp is a time as people read it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
