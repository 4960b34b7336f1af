package apikey_test

import (
	"hash/crc32"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/pkg/apikey"
)

// Checksums computed independently, with Python's zlib.crc32.
const (
	liveKey   = "viva_live_0123456789ABCDEFGHIJKLMNOPQRSTUV1NsHmi"
	testKey   = "shop_eu_test_zyxwvutsrqponmlkjihgfedcbaZYXWVU36FJTs"
	paddedKey = "viva_live_0000000000000000000000000000033700Tl18"
	token     = "vivat_0123456789ABCDEFGHIJKLMNOPQRSTUV0CZFtt"
)

func TestParseReadsTheFormat(t *testing.T) {
	tests := []struct {
		key  string
		want apikey.Key
	}{
		{liveKey, apikey.Key{Prefix: "viva", Environment: apikey.Live}},
		{testKey, apikey.Key{Prefix: "shop_eu", Environment: apikey.Test}},
		{paddedKey, apikey.Key{Prefix: "viva", Environment: apikey.Live}},
	}
	for _, test := range tests {
		got, err := apikey.Parse(test.key)
		require.NoError(t, err, test.key)
		require.Equal(t, test.want, got)
		require.True(t, apikey.Valid(test.key))
		require.False(t, apikey.ValidToken(test.key))
	}
}

func TestParseRefusesEverythingElse(t *testing.T) {
	tests := []struct{ name, s string }{
		{"nothing", ""},
		{"a token", token},
		{"a key cut short", liveKey[:len(liveKey)-1]},
		{"a key with more behind it", liveKey + "0"},
		{"a key with a space before it", " " + liveKey},
		{"a key with a newline behind it", liveKey + "\n"},
		{"another case", strings.ToUpper(liveKey)},
		{"a payload alone", liveKey[len("viva_live_"):]},
		{"a payload without a prefix", liveKey[len("viva"):]},
		{"a checksum of another prefix", "shop" + liveKey[len("viva"):]},
		{"a checksum of the other environment", strings.Replace(liveKey, "live", "test", 1)},
		{"an underscore in the payload", strings.Replace(liveKey, "A", "_", 1)},
		{"very much", strings.Repeat("viva_live_", 1<<16)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := apikey.Parse(test.s)
			require.ErrorIs(t, err, apikey.ErrMalformed)
			require.False(t, apikey.Valid(test.s))
		})
	}
}

func TestChecksumAloneMakesNoKey(t *testing.T) {
	require.Equal(t, liveKey, withChecksum(liveKey[:len(liveKey)-6]))
	const random = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	for _, head := range []string{
		"viva_", "live_", "_live_", "viva_prod_", "viva_Live_", "Viva_live_", "viva__live_", "viva_live_live_",
		"vivat_live_", "abcdefghijklmnopq_live_", "abcdefghijklmnopqrstu_", "",
	} {
		s := withChecksum(head + random)
		require.False(t, apikey.Valid(s), s)
		require.False(t, apikey.ValidToken(s), s)
	}
}

func withChecksum(s string) string {
	n := new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(s)))).Text(62)
	// big.Int counts a-z before A-Z.
	swapped := strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, n)
	return s + strings.Repeat("0", 6-len(n)) + swapped
}

func TestTokenIsNotAKey(t *testing.T) {
	made := apikey.GenerateToken().Reveal()
	for _, s := range []string{token, made} {
		require.True(t, apikey.ValidToken(s))
		require.False(t, apikey.Valid(s))
		require.False(t, apikey.ValidToken(s[:len(s)-1]+"-"))
	}
	require.NotEqual(t, made, apikey.GenerateToken().Reveal())
	require.ErrorIs(t, apikey.CheckPrefix(apikey.TokenPrefix), apikey.ErrPrefix)
}

func TestGeneratedKeyParses(t *testing.T) {
	shape := regexp.MustCompile(`^[a-z0-9_]+_(live|test)_[0-9A-Za-z]{38}$`)
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.StringMatching(`[a-z][a-z0-9]{0,7}(_[a-z0-9]{1,7})?`).
			Filter(func(s string) bool { return apikey.CheckPrefix(s) == nil }).Draw(t, "prefix")
		env := rapid.SampledFrom([]apikey.Environment{apikey.Live, apikey.Test}).Draw(t, "env")
		secret, err := apikey.Generate(prefix, env)
		require.NoError(t, err)
		require.Regexp(t, shape, secret.Reveal())
		got, err := apikey.Parse(secret.Reveal())
		require.NoError(t, err)
		require.Equal(t, apikey.Key{Prefix: prefix, Environment: env}, got)
	})
}

func TestGenerateRefusesWhatItCannotWrite(t *testing.T) {
	_, err := apikey.Generate("Viva", apikey.Live)
	require.ErrorIs(t, err, apikey.ErrPrefix)
	_, err = apikey.Generate("viva", "prod")
	require.ErrorIs(t, err, apikey.ErrEnvironment)
}

func TestAnyOneCharacterChangedIsNoticed(t *testing.T) {
	for _, key := range []string{liveKey, testKey, paddedKey, token} {
		for i := range len(key) {
			for c := range 256 {
				if byte(c) == key[i] {
					continue
				}
				changed := key[:i] + string([]byte{byte(c)}) + key[i+1:]
				if apikey.Valid(changed) || apikey.ValidToken(changed) {
					require.Fail(t, "accepted", "%q", changed)
				}
			}
		}
	}
}

func TestNoTwoKeysAreEqual(t *testing.T) {
	const n = 10_000
	seen := make(map[string]bool, n)
	for range n {
		secret, err := apikey.Generate("viva", apikey.Live)
		require.NoError(t, err)
		seen[secret.Reveal()] = true
	}
	require.Len(t, seen, n)
}

func TestCheckPrefix(t *testing.T) {
	for _, good := range []string{"v", "viva", "viva_eu", "a1_2", "lively", "contest", "abcdefghijklmnop", "vivat_x"} {
		require.NoError(t, apikey.CheckPrefix(good), good)
	}
	for _, bad := range []string{
		"", "_", "_a", "a_", "a__b", "1a", "A", "a-b", "a b", "é", "abcdefghijklmnopq",
		"live", "test", "a_live", "test_a", "a_test_b", "vivat",
	} {
		require.ErrorIs(t, apikey.CheckPrefix(bad), apikey.ErrPrefix, bad)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{liveKey, testKey, paddedKey, token, "", "_", "viva_live_", "viva__live_" + liveKey[10:]} {
		f.Add(s)
	}
	ours := apikey.NewPrefixes("viva")
	f.Fuzz(func(t *testing.T, s string) {
		key, err := apikey.Parse(s)
		if err == nil {
			require.NoError(t, apikey.CheckPrefix(key.Prefix))
			require.Equal(t, s, key.Prefix+"_"+string(key.Environment)+"_"+s[len(s)-38:])
			require.True(t, apikey.Opaque(s))
			require.False(t, apikey.ValidToken(s))
		}
		require.Equal(t, err == nil && key.Prefix == "viva", ours.Classify(s) == apikey.Generated)

		mask := apikey.Mask(s)
		require.Equal(t, apikey.Malformed, ours.Classify(mask))
		require.False(t, apikey.Valid(mask) || apikey.ValidToken(mask) || apikey.Opaque(mask))
	})
}
