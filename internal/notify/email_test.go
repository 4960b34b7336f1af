package notify

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
)

const sender = "Viva Alerts <alerts@viva.example>"

func email(to ...string) *models.Destination {
	return &models.Destination{ID: "d1", Type: models.DestinationEmail, To: to}
}

func mailer(t *testing.T, s *mailServer, o SMTP) *Sender {
	o.Addr = s.addr
	if o.From == "" {
		o.From = sender
	}
	return newSender(t, Options{SMTP: o, RootCAs: s.trusted, Version: "1.2.3"})
}

// read takes a mail apart: its headers and the two forms of its text.
func read(t *testing.T, text string) (h netmail.Header, plain, html string) {
	m, err := netmail.ReadMessage(strings.NewReader(text))
	require.NoError(t, err)
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	parts := multipart.NewReader(m.Body, params["boundary"])
	var got []string
	for _, want := range []string{"text/plain", "text/html"} {
		p, err := parts.NextRawPart()
		require.NoError(t, err)
		require.Contains(t, p.Header.Get("Content-Type"), want)
		require.Equal(t, "quoted-printable", p.Header.Get("Content-Transfer-Encoding"))
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		require.NoError(t, err)
		got = append(got, strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
	_, err = parts.NextRawPart()
	require.ErrorIs(t, err, io.EOF)
	return m.Header, got[0], got[1]
}

func TestMailArrivesEncryptedAndLoggedIn(t *testing.T) {
	for name, row := range map[string]struct {
		server mailOptions
		client SMTP
	}{
		"starttls":           {mailOptions{password: "hunter2"}, SMTP{Username: "viva", Password: "hunter2"}},
		"starttls, no login": {mailOptions{}, SMTP{TLS: TLSStart}},
		"implicit":           {mailOptions{implicit: true, password: "hunter2"}, SMTP{TLS: TLSImplicit, Username: "viva", Password: "hunter2"}},
		"none":               {mailOptions{plain: true}, SMTP{TLS: TLSNone}},
		"none, offered":      {mailOptions{}, SMTP{TLS: TLSNone}},
	} {
		t.Run(name, func(t *testing.T) {
			server := newMailServer(t, row.server)
			sent := mailer(t, server, row.client).Send(t.Context(), email("ops@a.example", "cto@a.example"), "", message(1))
			require.True(t, sent.Delivered, sent.Error)
			require.Equal(t, 250, sent.Status)
			require.NotContains(t, sent.Request+sent.Response, "hunter2")
			require.Contains(t, sent.Request, "To: ops@a.example, cto@a.example\nSubject: [warning] Quota nearly spent\n")
			mails := server.mails()
			require.Len(t, mails, 1)
			require.Equal(t, "alerts@viva.example", mails[0].from)
			require.Equal(t, []string{"ops@a.example", "cto@a.example"}, mails[0].to)
			require.Equal(t, row.client.Username, mails[0].user)
			require.Equal(t, row.client.TLS != TLSNone, mails[0].encrypted)
		})
	}
}

func TestMailToTheLetter(t *testing.T) {
	server := newMailServer(t, mailOptions{})
	s := mailer(t, server, SMTP{})
	m := message(1)
	m.Events[0].Title = "<script>alert(1)</script> & Überlauf"
	for range 2 {
		require.True(t, s.Send(t.Context(), email("ops@a.example"), "", m).Delivered)
	}
	mails := server.mails()
	h, plain, html := read(t, mails[0].text)
	subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	require.NoError(t, err)
	require.Equal(t, "[warning] <script>alert(1)</script> & Überlauf", subject)
	require.Equal(t, `"Viva Alerts" <alerts@viva.example>`, h.Get("From"))
	require.Equal(t, "<ops@a.example>", h.Get("To"))
	require.Equal(t, "<0199-m1@viva.example>", h.Get("Message-ID"))
	require.Equal(t, "Wed, 04 Mar 2026 12:00:03 +0000", h.Get("Date"))
	require.Equal(t, "auto-generated", h.Get("Auto-Submitted"))
	require.Equal(t, "viva/1.2.3", h.Get("User-Agent"))
	require.Equal(t, `<script>alert(1)</script> & Überlauf

Severity: warning
Time:     2026-03-04 12:00:00 UTC
Owner:    acme
Key:      k1

90 % of the month's calls are used.

alert_id: a1
rule: quota
`, strings.TrimRight(plain, "\n")+"\n")
	require.NotContains(t, html, "<script>")
	require.Contains(t, html, "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Überlauf")
	require.Contains(t, html, "border-left: 4px solid #bf8700")
	require.Contains(t, html, "90 % of the month&#39;s calls are used.")

	again, _, _ := read(t, mails[1].text)
	require.Equal(t, h.Get("Message-ID"), again.Get("Message-ID"), "a receiver can tell that it has it already")
}

func TestMailOfMany(t *testing.T) {
	m := message(3)
	m.Omitted = 2
	m.Events[1].Severity, m.Events[1].Title = models.SeverityCritical, "Key abused"
	l := letterOf(m, false)
	require.Equal(t, "[critical] 5 events: Quota nearly spent and more", l.Subject)
	msg, plain, err := newSender(t, Options{}).compose(&netmail.Address{Address: "a@b.example"}, []string{"c@d.example"}, m, false)
	require.NoError(t, err)
	require.Contains(t, plain, "\nKey abused\n\nSeverity: critical\n")
	require.Contains(t, plain, "\nand 2 more\n")
	require.Equal(t, 2, strings.Count(plain, "----\n"))
	require.NotNil(t, msg)
}

// What an owner gets is about their account, and holds nothing for operators;
// their address is not kept with the attempt.
func TestMailToAnOwner(t *testing.T) {
	const owner = "jane@customer.example"
	server := newMailServer(t, mailOptions{})
	s := mailer(t, server, SMTP{})
	d := &models.Destination{Type: models.DestinationEmail, ToOwner: true}
	sent := s.Send(t.Context(), d, owner, message(1))
	require.True(t, sent.Delivered, sent.Error)
	require.Contains(t, sent.Request, "To: the owner's address\nSubject: Quota nearly spent\n")
	h, plain, html := read(t, server.mails()[0].text)
	require.Equal(t, "<"+owner+">", h.Get("To"))
	require.NotContains(t, plain+html, "alert_id")

	server = newMailServer(t, mailOptions{refuse: map[string]*smtp.SMTPError{owner: {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<" + owner + "> unknown"}}})
	refused := mailer(t, server, SMTP{}).Send(t.Context(), d, owner, message(1))
	require.True(t, refused.Hopeless)
	require.Equal(t, "refused <the owner's address>: 550 5.1.1 <<the owner's address>> unknown", refused.Error)
	require.NotContains(t, sent.Request+sent.Response+refused.Request+refused.Error, owner)
}

// A text that tries to add headers or receivers stays text.
func TestNothingIsInjected(t *testing.T) {
	server := newMailServer(t, mailOptions{})
	s := mailer(t, server, SMTP{})
	m := message(1)
	m.ID = "x>\r\nBcc: evil@b.example"
	m.Events[0].Title = "Quota\r\nBcc: evil@b.example\r\n\r\n<h1>"
	m.Events[0].Text = "line\r\n.\r\nMAIL FROM:<evil@b.example>\r\n"
	require.True(t, s.Send(t.Context(), email("ops@a.example"), "", m).Delivered)
	mails := server.mails()
	require.Len(t, mails, 1)
	require.Equal(t, []string{"ops@a.example"}, mails[0].to)
	h, plain, _ := read(t, mails[0].text)
	require.Empty(t, h.Get("Bcc"))
	require.Equal(t, "[warning] Quota Bcc: evil@b.example <h1>", h.Get("Subject"))
	require.Regexp(t, `^<[0-9a-f]{32}@viva\.example>$`, h.Get("Message-ID"))
	require.Contains(t, plain, "line\n.\nMAIL FROM:<evil@b.example>\n")
	for _, to := range []string{"a@b.example>\r\nRCPT TO:<evil@b.example", "a@b.example\nBcc: x@y.example", "nobody"} {
		for _, sent := range []models.Sent{
			s.Send(t.Context(), email(to), "", m), s.Send(t.Context(), email(), to, m),
		} {
			require.Equal(t, models.Sent{Hopeless: true, Error: "an address is not valid: want one such as ops@example.com"}, sent)
		}
	}
	require.Len(t, server.mails(), 1)
	require.True(t, s.Send(t.Context(), email(), "", m).Hopeless, "there is nobody to send to")
}

func refusing(what string, code int, enhanced smtp.EnhancedCode) mailOptions {
	return mailOptions{refuse: map[string]*smtp.SMTPError{what: {Code: code, EnhancedCode: enhanced, Message: "no"}}}
}

func TestHowMailFails(t *testing.T) {
	for name, row := range map[string]struct {
		server mailOptions
		client SMTP
		status int
		fatal  bool
		want   string
	}{
		"greeted with 421":    {refusing("greet", 421, smtp.EnhancedCode{4, 3, 0}), SMTP{}, 421, false, "421"},
		"sender refused":      {refusing("mail", 553, smtp.EnhancedCode{5, 7, 1}), SMTP{}, 553, false, "553 5.7.1 no"},
		"sender not now":      {refusing("mail", 451, smtp.EnhancedCode{4, 7, 1}), SMTP{}, 451, false, "451 4.7.1 no"},
		"mailbox not now":     {refusing("ops@a.example", 451, smtp.EnhancedCode{4, 7, 1}), SMTP{}, 451, false, "refused ops@a.example: 451 4.7.1 no"},
		"mailbox full":        {refusing("ops@a.example", 552, smtp.EnhancedCode{5, 2, 2}), SMTP{}, 552, false, "refused ops@a.example: 552 5.2.2 no"},
		"no such mailbox":     {refusing("ops@a.example", 550, smtp.EnhancedCode{5, 1, 1}), SMTP{}, 550, true, "refused ops@a.example: 550 5.1.1 no"},
		"no relay":            {refusing("ops@a.example", 550, smtp.EnhancedCode{5, 7, 1}), SMTP{}, 550, false, "refused ops@a.example: 550 5.7.1 no"},
		"text refused":        {refusing("data", 554, smtp.EnhancedCode{5, 6, 0}), SMTP{}, 554, false, "554 5.6.0 no"},
		"text not now":        {refusing("data", 451, smtp.EnhancedCode{4, 3, 0}), SMTP{}, 451, false, "451 4.3.0 no"},
		"no TLS there":        {mailOptions{plain: true}, SMTP{}, 0, false, "does not support STARTTLS"},
		"wrong password":      {mailOptions{password: "right"}, SMTP{Username: "viva", Password: "hunter2"}, 454, false, "SMTP AUTH failed"},
		"no login there":      {mailOptions{}, SMTP{Username: "viva", Password: "hunter2"}, 0, false, "does not support SMTP AUTH"},
		"not a TLS port":      {mailOptions{}, SMTP{TLS: TLSImplicit}, 0, false, "tls:"},
		"sender not given":    {mailOptions{}, SMTP{From: "nobody"}, 0, false, "notify.smtp.from is not an address"},
		"TLS where plain was": {mailOptions{implicit: true}, SMTP{TLS: TLSNone, Timeout: 300 * time.Millisecond}, 0, false, "not done within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newMailServer(t, row.server)
			sent := mailer(t, server, row.client).Send(t.Context(), email("ops@a.example"), "", message(1))
			require.Contains(t, sent.Error, row.want)
			require.NotContains(t, sent.Error, "hunter2")
			require.False(t, sent.Delivered || sent.Gone)
			require.Equal(t, row.fatal, sent.Hopeless)
			require.Equal(t, row.status, sent.Status)
			require.Empty(t, server.mails())
		})
	}
}

func TestMailServerOfAStranger(t *testing.T) {
	server := newMailServer(t, mailOptions{password: "hunter2"})
	server.trusted = nil
	sent := mailer(t, server, SMTP{Username: "viva", Password: "hunter2"}).Send(t.Context(), email("ops@a.example"), "", message(1))
	require.Contains(t, sent.Error, "certificate")
	require.Empty(t, server.mails())
}

func TestMailServerThatIsNotThere(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	for name, row := range map[string]struct {
		addr, want string
	}{
		"none":      {"", "no mail server is set in notify.smtp.addr"},
		"no port":   {"mail.example", "notify.smtp.addr is not host:port"},
		"silent":    {addr, "not done within 200ms"},
		"no number": {"mail.example:smtp", "notify.smtp.addr has no port number"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSender(t, Options{SMTP: SMTP{Addr: row.addr, From: sender, Timeout: 200 * time.Millisecond}})
			sent := s.Send(t.Context(), email("ops@a.example"), "", message(1))
			require.Equal(t, row.want, sent.Error)
			require.False(t, sent.Hopeless)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // the session has begun when the server sees it
		c, err := l.Accept()
		for err == nil && c.RemoteAddr() == nil {
			c, err = l.Accept()
		}
		cancel()
		if err == nil {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	s := newSender(t, Options{SMTP: SMTP{Addr: addr, From: sender}})
	require.Equal(t, "the attempt was cut short", s.Send(ctx, email("ops@a.example"), "", message(1)).Error)
	l.Close()
	gone := s.Send(t.Context(), email("ops@a.example"), "", message(1))
	require.Contains(t, gone.Error, "connection refused")
}

// That one address is wrong does not keep the message from the others.
func TestOneOfSeveralIsWrong(t *testing.T) {
	server := newMailServer(t, refusing("left@a.example", 550, smtp.EnhancedCode{5, 1, 1}))
	sent := mailer(t, server, SMTP{}).Send(t.Context(), email("left@a.example", "ops@a.example"), "", message(1))
	require.True(t, sent.Delivered)
	require.Equal(t, 250, sent.Status)
	require.Contains(t, sent.Response, "refused left@a.example: 550 5.1.1 no")
	require.Equal(t, []string{"ops@a.example"}, server.mails()[0].to)
}

// Nor that one has to wait; only that one is tried again.
func TestOneOfSeveralIsLate(t *testing.T) {
	server := newMailServer(t, refusing("late@a.example", 451, smtp.EnhancedCode{4, 7, 1}))
	s := mailer(t, server, SMTP{})
	d := email("late@a.example", "ops@a.example")
	for range 2 {
		sent := s.Send(t.Context(), d, "", message(1))
		require.False(t, sent.Delivered || sent.Hopeless)
		require.Equal(t, 451, sent.Status)
		require.Contains(t, sent.Error, "the others have it; refused late@a.example: 451 4.7.1 no")
	}
	server.allow("late@a.example")
	require.True(t, s.Send(t.Context(), d, "", message(1)).Delivered)
	mails := server.mails()
	require.Len(t, mails, 2)
	require.Equal(t, []string{"ops@a.example"}, mails[0].to)
	require.Equal(t, []string{"late@a.example"}, mails[1].to)
	require.Empty(t, s.reached.by)
	require.Empty(t, s.reached.order)
}

func TestMemoryOfWhoWasReachedIsBounded(t *testing.T) {
	var r reached
	for i := range maxReached + 10 {
		r.add(string(rune('a'+i%26))+string(rune(0x4e00+i)), []string{"a"})
	}
	require.Len(t, r.by, maxReached)
	require.Len(t, r.order, maxReached)
	last := r.order[maxReached-1]
	r.add(last, []string{"b"})
	require.Equal(t, []string{"c"}, r.without(last, []string{"a", "b", "c"}))
	r.forget(last)
	r.forget(last)
	require.Len(t, r.order, maxReached-1)
}
