package notify

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
)

// What Slack gets for one event and for more, to the letter.
func TestSlackMessage(t *testing.T) {
	const (
		event = `{"type":"section","text":{"type":"mrkdwn","text":":warning: *Quota nearly spent*\n90 % of the month's calls are used.\n` +
			`owner acme · key k1 · 2026-03-04 12:00:00 UTC","verbatim":true}}`
		head = `{"type":"section","text":{"type":"mrkdwn","text":"*:warning: 3 events: Quota nearly spent and more*","verbatim":true}}`
		more = `{"type":"context","elements":[{"type":"mrkdwn","text":"and 1 more","verbatim":true}]}`
	)
	r := newReceiver(t, ok)
	s := newSender(t, Options{AllowNetworks: loopback, RootCAs: r.trusted()})
	d := &models.Destination{Type: models.DestinationSlack, URL: r.URL + "/services/T0/B0/hunter2", Headers: map[string]string{"X-A": "b"}}
	three := message(2)
	three.Omitted = 1
	for i, row := range []struct {
		m    *models.Message
		want string
	}{
		{message(1), `{"text":":warning: Quota nearly spent","blocks":[` + event + `]}`},
		{three, `{"text":":warning: 3 events: Quota nearly spent and more","blocks":[` + head + "," + event + "," + event + "," + more + `]}`},
	} {
		sent := s.Send(t.Context(), d, "", row.m)
		require.True(t, sent.Delivered, sent.Error)
		require.Contains(t, sent.Request, "POST "+r.URL+"/…\n")
		require.NotContains(t, sent.Request, "hunter2")
		requests, bodies := r.requests()
		require.Equal(t, row.want, bodies[i])
		require.Equal(t, "application/json", requests[i].Header.Get("Content-Type"))
		for name := range requests[i].Header {
			require.NotContains(t, strings.ToLower(name), "webhook-")
		}
	}
}

func TestSlackListsTwenty(t *testing.T) {
	m := message(50)
	m.Omitted = 5
	m.Events[49].Severity = models.SeverityCritical
	got := slackOf(m)
	require.Len(t, got.Blocks, 22)
	require.Equal(t, "and 35 more", got.Blocks[21].Elements[0].Text)
	require.True(t, strings.HasPrefix(got.Text, ":rotating_light: 55 events"), "the worst, though it is not listed")
	require.Equal(t, ":information_source: 0 events", slackOf(message(0)).Text)
}

// Nobody can mention a channel or plant a link through the name of an owner.
func TestSlackEscapes(t *testing.T) {
	m := message(1)
	m.Events[0].Title = "<!channel> A & B\r\n*x*"
	m.Events[0].Text = "<https://evil.example|click> &lt;"
	m.Events[0].Owner = "<@U1>\nfaked line"
	text := slackOf(m).Blocks[0].Text.Text
	require.NotContains(t, text, "<")
	require.NotContains(t, text, ">")
	require.Contains(t, text, "*&lt;!channel&gt; A &amp; B *x**\n&lt;https://evil.example|click&gt; &amp;lt;\nowner &lt;@U1&gt; faked line · key")
	require.Contains(t, slackOf(m).Text, "&lt;!channel&gt;")
}

func TestSlackBoundsEverySection(t *testing.T) {
	m := message(2)
	for i, filler := range []string{"&", "日"} {
		e := &m.Events[i]
		e.Title, e.Text, e.Owner = strings.Repeat(filler, 5000), strings.Repeat(filler, 5000), strings.Repeat(filler, 5000)
	}
	got := slackOf(m)
	for _, b := range got.Blocks {
		require.LessOrEqual(t, len(b.Text.Text), 3000)
		require.NotRegexp(t, `&(a|am|amp)?…`, b.Text.Text, "no escape is cut in two")
		require.True(t, json.Valid([]byte(`"`+strings.ReplaceAll(b.Text.Text, "\n", "")+`"`)))
	}
	require.LessOrEqual(t, len(got.Text), 3000)
	require.Equal(t, "ab…", slackEscape("abcdefg", 5))
	require.Equal(t, "abcde", slackEscape("abcde", 5))
	require.Equal(t, "…", slackEscape("&&", 6))
}
