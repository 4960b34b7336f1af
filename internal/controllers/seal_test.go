package controllers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestASealedAnswerOpensForItsCallAlone(t *testing.T) {
	s := seal{token: "vivat_token", key: "k1"}
	request := s.request("POST", "/keys", []byte(`{}`))
	sealed := s.encrypt([]byte("secret"), request)
	opened, err := s.decrypt(sealed, request)
	require.NoError(t, err)
	require.Equal(t, "secret", string(opened))

	tests := map[string]seal{"another token": {"vivat_other", "k1"}, "another key": {"vivat_token", "k2"}, "swapped": {"k1", "vivat_token"}}
	for name, other := range tests {
		_, err := other.decrypt(sealed, request)
		require.Error(t, err, name)
		require.NotEqual(t, s.name(), other.name(), name)
		require.NotEqual(t, request, other.request("POST", "/keys", []byte(`{}`)), name)
	}
	_, err = s.decrypt(sealed, s.request("POST", "/keys", []byte(`{ }`)))
	require.Error(t, err, "another request")
	for _, broken := range [][]byte{nil, sealed[:11], sealed[:len(sealed)-1], append([]byte{sealed[0] ^ 1}, sealed[1:]...)} {
		_, err := s.decrypt(broken, request)
		require.Error(t, err)
	}
}

func TestSealedAnswersOfOneCallDiffer(t *testing.T) {
	s := seal{token: "vivat_token", key: "k1"}
	first := s.encrypt([]byte("secret"), "")
	require.NotEqual(t, first, s.encrypt([]byte("secret"), ""))
}

func TestTheDigestTellsRequestsApart(t *testing.T) {
	s := seal{token: "vivat_token", key: "k1"}
	text := rapid.StringMatching(`[a-c0-3 /]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		a := []string{text.Draw(t, "a"), text.Draw(t, "b"), text.Draw(t, "c")}
		b := []string{text.Draw(t, "d"), text.Draw(t, "e"), text.Draw(t, "f")}
		same := strings.Join(a, "\x00") == strings.Join(b, "\x00")
		require.Equal(t, same, s.request(a[0], a[1], []byte(a[2])) == s.request(b[0], b[1], []byte(b[2])))
	})
}
