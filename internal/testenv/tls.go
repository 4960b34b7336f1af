package testenv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A TLSServer is a Redis server that speaks TLS, for one test. Server and clients show certificates of a throwaway
// authority.
type TLSServer struct {
	*Server // its URL leads past TLS, to look at the data
	secure  *port
	client  *tls.Config
}

// RedisTLS starts a Redis server with TLS for this test alone.
func RedisTLS(tb testing.TB) *TLSServer {
	tb.Helper()
	process, secure, client, err := startTLS()
	s := &TLSServer{own(tb, process, err), secure, client}
	tb.Cleanup(func() { s.check(secure.release()) })
	return s
}

// Addr is the host:port where the server speaks TLS.
func (s *TLSServer) Addr() string { return s.secure.addr() }

// Config is what a client needs: the authority, and a certificate to show.
func (s *TLSServer) Config() *tls.Config { return s.client.Clone() }

func startTLS() (p *process, secure *port, client *tls.Config, err error) {
	program, err := newest("redis-server", 7)
	if err != nil {
		return nil, nil, nil, err
	}
	if secure, err = reservePort(); err != nil {
		return nil, nil, nil, err
	}
	if p, err = prepareRedis(); err != nil {
		return nil, nil, nil, errors.Join(err, secure.release())
	}
	if client, err = writeCertificates(p.folder); err != nil {
		return nil, nil, nil, errors.Join(err, p.remove(), secure.release())
	}
	if p, err = p.launchRedis(program, "--tls-port", strconv.Itoa(secure.number),
		"--tls-ca-cert-file", "ca.crt", "--tls-cert-file", "server.crt", "--tls-key-file", "server.key"); err != nil {
		return nil, nil, nil, errors.Join(err, secure.release())
	}
	return p, secure, client, nil
}

// writeCertificates makes an authority and gives the server its files, and a client what it needs.
func writeCertificates(folder string) (*tls.Config, error) {
	authority, err := newCertificate("authority", nil)
	if err != nil {
		return nil, err
	}
	server, err := newCertificate("server", authority)
	if err != nil {
		return nil, err
	}
	client, err := newCertificate("client", authority)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("write the server's key: %w", err)
	}
	for name, block := range map[string]*pem.Block{
		"ca.crt":     {Type: "CERTIFICATE", Bytes: authority.Leaf.Raw},
		"server.crt": {Type: "CERTIFICATE", Bytes: server.Leaf.Raw},
		"server.key": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{*client}}, nil
}

// newCertificate makes a key and a certificate for it, signed by the authority, or by itself if that is nil.
func newCertificate(name string, authority *tls.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour), // for clocks that step back
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true,
	}
	parent, signer := template, key
	if authority == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		parent, signer = authority.Leaf, authority.PrivateKey.(*ecdsa.PrivateKey)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", name, err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of %s: %w", name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}, nil
}
