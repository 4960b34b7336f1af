package apikey_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apikey"
)

// Both computed independently, with Python's hashlib and hmac.
const (
	liveHash     = "5d63a0da08c6ea42900e0f86874d7ac9527be0235986fcfbc7dbb4c0e4d0debc"
	pepperedHash = "4f9a6b7188c80ef779b589b30b0794443c29a9dfcaded8250831df2a2b3c8cc7"
)

func TestHashIsWhatOtherToolsCompute(t *testing.T) {
	hash := apikey.Sum(liveKey)
	require.Equal(t, liveHash, hash.String())
	require.Equal(t, pepperedHash, hash.Pepper([]byte("pepper")).String())
	require.Equal(t, liveHash, hash.String(), "peppering leaves the hash alone")

	long := strings.Repeat("~", 513)
	require.Equal(t, apikey.Hash(sha256.Sum256([]byte(long))), apikey.Sum(long))
}

func TestParseHash(t *testing.T) {
	for _, s := range []string{liveHash, strings.ToUpper(liveHash)} {
		hash, err := apikey.ParseHash(s)
		require.NoError(t, err)
		require.Equal(t, apikey.Sum(liveKey), hash)
	}
	for _, s := range []string{"", liveHash[2:], liveHash + "00", "g" + liveHash[1:], " " + liveHash[1:]} {
		hash, err := apikey.ParseHash(s)
		require.ErrorIs(t, err, apikey.ErrHash, "%q", s)
		require.Zero(t, hash)
	}
}

// The compiler must not drop what is measured.
var (
	keySink   apikey.Key
	hashSink  apikey.Hash
	classSink apikey.Class
)

func TestTheHotPathDoesNotAllocate(t *testing.T) {
	ours := apikey.NewPrefixes("viva")
	longest := strings.Repeat("~", 512)
	tests := []struct {
		name string
		call func()
	}{
		{"Parse", func() { keySink, _ = apikey.Parse(liveKey) }},
		{"Parse, two words", func() { keySink, _ = apikey.Parse(testKey) }},
		{"Parse, malformed", func() { keySink, _ = apikey.Parse(token) }},
		{"Sum", func() { hashSink = apikey.Sum(liveKey) }},
		{"Sum, the longest", func() { hashSink = apikey.Sum(longest) }},
		{"Classify", func() { classSink = ours.Classify(liveKey) }},
		{"Classify, foreign", func() { classSink = ours.Classify(testKey) }},
	}
	for _, test := range tests {
		require.Zero(t, testing.AllocsPerRun(100, test.call), test.name)
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		keySink, _ = apikey.Parse(liveKey)
	}
}

func BenchmarkClassify(b *testing.B) {
	ours := apikey.NewPrefixes("viva")
	b.ReportAllocs()
	for b.Loop() {
		classSink = ours.Classify(liveKey)
	}
}

func BenchmarkSum(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		hashSink = apikey.Sum(liveKey)
	}
}
