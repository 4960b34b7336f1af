package testenv

import (
	"crypto/tls"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestTLSServerAndClientsProveWhoTheyAre(t *testing.T) {
	server := RedisTLS(t)
	ping := func(config *tls.Config) error {
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), TLSConfig: config, DialerRetries: 1, MaxRetries: -1})
		defer client.Close()
		return client.Set(t.Context(), "by", "TLS", 0).Err()
	}
	require.NoError(t, ping(server.Config()))
	require.Equal(t, "TLS", client(t, server.URL()).Get(t.Context(), "by").Val())

	stranger := server.Config()
	stranger.Certificates = nil
	require.Error(t, ping(stranger), "the server asks for a certificate")
	distrustful := server.Config()
	distrustful.RootCAs = nil
	var unknown *tls.CertificateVerificationError
	require.ErrorAs(t, ping(distrustful), &unknown)
	require.Error(t, ping(nil), "no TLS")
}
