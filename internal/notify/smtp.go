package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/viva/rate-limiter/internal/models"
)

const smtpAccepted = 250

// sendEmail gives a message to the operator's mail server, for the address to or
// for all of d.To.
func (s *Sender) sendEmail(ctx context.Context, d *models.Destination, to string, m *models.Message) models.Sent {
	if s.options.SMTP.Addr == "" {
		return models.Sent{Error: "no mail server is set in notify.smtp.addr"}
	}
	from, err := netmail.ParseAddress(s.options.SMTP.From)
	if err != nil {
		return models.Sent{Error: "notify.smtp.from is not an address"}
	}
	all, hide, shownTo := d.To, hiding(""), strings.Join(d.To, ", ")
	if to != "" {
		// Whose address it is stands with the delivery, and is erased with the owner.
		all, hide, shownTo = []string{to}, hiding("<the owner's address>", to), "the owner's address"
	}
	if len(all) == 0 {
		return hopeless("there is no address to send to")
	}
	for _, address := range all {
		if !validAddress(address) {
			return hopeless("an address is not valid: want one such as ops@example.com")
		}
	}
	msg, plain, err := s.compose(from, all, m, to != "")
	if err != nil {
		return hopeless(err.Error())
	}
	sent := models.Sent{Request: cut(clean("From: "+from.String()+"\nTo: "+shownTo+"\n"+plain), maxRequest)}
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.SMTP.Timeout, fmt.Errorf("not done within %s", s.options.SMTP.Timeout))
	defer cancel()
	s.submit(ctx, &submission{id: string(d.ID) + " " + m.ID, from: from.Address, to: all, msg: msg, hide: hide}, &sent)
	return sent
}

// A submission is a mail on its way through one session with the server.
type submission struct {
	id   string // the same at every attempt, and another one for each destination
	from string
	to   []string
	msg  *mail.Msg
	hide masker
}

// submit fills in how it went.
func (s *Sender) submit(ctx context.Context, m *submission, sent *models.Sent) {
	to := s.reached.without(m.id, m.to)
	session, conn, err := s.dialSMTP(ctx)
	if conn != nil {
		defer conn.Close() // the library leaves it open where a session fails to begin
	}
	if err == nil {
		err = session.Mail("<" + m.from + ">")
	}
	if err != nil {
		m.failed(ctx, sent, err)
		return
	}
	accepted, refused := recipients(session, to)
	if len(accepted) > 0 {
		if err := write(session, m.msg, sent); err != nil {
			m.failed(ctx, sent, err)
			return
		}
		sent.Status = smtpAccepted
	}
	s.reached.add(m.id, accepted)
	refused.report(ctx, m, sent, len(accepted) > 0 || len(to) < len(m.to))
	if sent.Delivered || sent.Hopeless {
		s.reached.forget(m.id)
	}
	// The server has what it takes; how it says goodbye does not matter.
	if session.UpdateDeadline(time.Second) == nil {
		_ = session.Quit()
	}
}

// write sends the mail itself. What was answered to it is left in sent.
func write(session *smtp.Client, msg *mail.Msg, sent *models.Sent) error {
	data, err := session.Data()
	if err != nil {
		return err
	}
	if _, err := msg.WriteTo(data); err != nil {
		return err
	}
	if err := data.Close(); err != nil {
		return err
	}
	if closer, ok := data.(*smtp.DataCloser); ok {
		sent.Response = closer.ServerResponse()
	}
	return nil
}

// refusals are the addresses that the server did not take, each with why.
type refusals []refusal

type refusal struct {
	to  string
	err error
}

// recipients names everybody to the server: that one address is wrong must not
// keep a message from the others.
func recipients(session *smtp.Client, to []string) (accepted []string, refused refusals) {
	for _, address := range to {
		if err := session.Rcpt("<" + address + ">"); err != nil {
			refused = append(refused, refusal{address, err})
			continue
		}
		accepted = append(accepted, address)
	}
	return accepted, refused
}

// report says how it went from who was refused. Some having the message, it is
// delivered unless somebody may still be accepted later. None having it is a
// failure, and hopeless if none of them exists.
func (r refusals) report(ctx context.Context, m *submission, sent *models.Sent, some bool) {
	lines, final := make([]string, len(r)), true
	for i, one := range r {
		lines[i] = one.to + ": " + spoken(one.err)
		final = final && noSuchMailbox(one.err)
	}
	switch what := "refused " + strings.Join(lines, "; "); {
	case len(r) == 0:
		sent.Delivered, sent.Status = true, smtpAccepted
	case some && final:
		sent.Delivered, sent.Status = true, smtpAccepted
		sent.Response += "\n" + what
	case some:
		m.failed(ctx, sent, r[len(r)-1].err)
		sent.Error = m.hide.failure("the others have it; " + what)
	default:
		m.failed(ctx, sent, r[len(r)-1].err)
		sent.Hopeless = final
		if ctx.Err() == nil {
			sent.Error = m.hide.failure(what)
		}
	}
	sent.Response = m.hide.response(strings.TrimSpace(sent.Response))
}

// failed says why the session ended.
func (m *submission) failed(ctx context.Context, sent *models.Sent, err error) {
	sent.Status, sent.Error = codeOf(err), m.hide.failure(spoken(err))
	if ctx.Err() != nil {
		sent.Error = ending(ctx)
	}
}

// spoken is an error with the server's words as they came, and not quoted.
func spoken(err error) string {
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return strings.Replace(err.Error(), answer.Error(), fmt.Sprintf("%d %s", answer.Code, answer.Msg), 1)
	}
	return err.Error()
}

// codeOf is what the server answered; 0 where it did not.
func codeOf(err error) int {
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return answer.Code
	}
	return 0
}

// noSuchMailbox tells whether the server says that the address is wrong, and not
// that it likes neither us nor the moment.
func noSuchMailbox(err error) bool {
	answer, ok := errors.AsType[*textproto.Error](err)
	if !ok {
		return false
	}
	switch answer.Code {
	case 550, 551, 553, 556:
		return !strings.HasPrefix(answer.Msg, "5.7.") // of policy, which operators change
	}
	return false
}

// dialSMTP begins a session: connected, encrypted and logged in as configured.
// The connection is closed by the caller, whatever the error.
func (s *Sender) dialSMTP(attempt context.Context) (session *smtp.Client, conn net.Conn, err error) {
	o := s.options.SMTP
	host, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, nil, errors.New("notify.smtp.addr is not host:port")
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, nil, errors.New("notify.smtp.addr has no port number")
	}
	config := &tls.Config{ServerName: host, RootCAs: s.options.RootCAs, MinVersion: tls.VersionTLS12}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		if o.TLS == TLSImplicit {
			conn, err = (&tls.Dialer{Config: config}).DialContext(ctx, network, o.Addr)
		} else {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, o.Addr)
		}
		if err != nil {
			conn = nil
			return nil, err
		}
		// The library's deadlines know nothing of ctx, which ends with the attempt at the latest.
		opened := conn
		context.AfterFunc(attempt, func() { opened.Close() })
		return conn, nil
	}
	// The library's own time is longer than the attempt's, so that it is always
	// the attempt that ends.
	options := []mail.Option{
		mail.WithPort(number), mail.WithTimeout(2 * o.Timeout), mail.WithTLSConfig(config), mail.WithDialContextFunc(dial), mail.WithoutNoop(),
	}
	switch o.TLS {
	case TLSNone:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	case TLSImplicit:
		options = append(options, mail.WithSSL())
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if o.Username != "" {
		// None of these but SCRAM is spoken on a connection that others can read.
		options = append(options, mail.WithUsername(o.Username), mail.WithPassword(o.Password), mail.WithOpportunisticSMTPAuth(
			mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("mail server: %w", err)
	}
	session, err = client.DialToSMTPClientWithContext(attempt)
	return session, conn, err
}
