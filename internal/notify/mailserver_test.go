package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// A mailServer is a real server of SMTP that keeps what it takes.
type mailServer struct {
	addr    string
	trusted *x509.CertPool
	refuse  map[string]*smtp.SMTPError // by "greet", "auth", "mail", "data", or the address

	mu   sync.Mutex
	took []mailTaken
}

type mailTaken struct {
	from, user string
	to         []string
	text       string
	encrypted  bool
}

type mailOptions struct {
	implicit bool
	plain    bool // offers no TLS
	password string
	refuse   map[string]*smtp.SMTPError
}

func newMailServer(t *testing.T, o mailOptions) *mailServer {
	// The certificate of a test server, for 127.0.0.1 and example.com.
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.StartTLS()
	certificate, trusted := web.TLS.Certificates[0], x509.NewCertPool()
	trusted.AddCert(web.Certificate())
	web.Close()

	s := &mailServer{trusted: trusted, refuse: o.refuse}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		if e := s.refuse["greet"]; e != nil {
			return nil, e
		}
		_, encrypted := c.TLSConnectionState()
		session := &mailSession{server: s, current: mailTaken{encrypted: encrypted}}
		if o.password == "" {
			return struct{ smtp.Session }{session}, nil // without AUTH
		}
		session.password = o.password
		return session, nil
	}))
	server.Domain = "mail.example"
	server.ErrorLog = quiet{}
	server.AllowInsecureAuth = true // so that our own refusal is what is tested
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = l.Addr().String()
	switch {
	case o.implicit:
		l = tls.NewListener(l, config)
	case !o.plain:
		server.TLSConfig = config
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // it ends with the listener
	}()
	t.Cleanup(func() {
		_ = server.Shutdown(context.Background()) // the sessions end first, each with its client
		l.Close()                                 // which Shutdown leaves open where Serve has not begun
		<-done
	})
	return s
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func (s *mailServer) mails() []mailTaken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mailTaken{}, s.took...)
}

// allow makes the server take what it refused.
func (s *mailServer) allow(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.refuse, what)
}

func (s *mailServer) refusal(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.refuse[what]; e != nil {
		return e
	}
	return nil
}

type mailSession struct {
	server   *mailServer
	password string
	current  mailTaken
}

func (*mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (m *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != m.password {
			return errors.New("wrong password")
		}
		m.current.user = user
		return nil
	}), nil
}

func (m *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	m.current.from, m.current.to = from, nil
	return m.server.refusal("mail")
}

func (m *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := m.server.refusal(to); err != nil {
		return err
	}
	m.current.to = append(m.current.to, to)
	return nil
}

func (m *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := m.server.refusal("data"); err != nil {
		return err
	}
	m.current.text = string(text)
	m.server.mu.Lock()
	defer m.server.mu.Unlock()
	m.server.took = append(m.server.took, m.current)
	return nil
}

func (*mailSession) Reset()        {}
func (*mailSession) Logout() error { return nil }
