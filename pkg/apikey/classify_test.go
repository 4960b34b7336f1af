package apikey_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestClassify(t *testing.T) {
	ours := apikey.NewPrefixes("viva", "shop_eu")
	tests := []struct {
		name string
		s    string
		want apikey.Class
	}{
		{"our key", liveKey, apikey.Generated},
		{"our key with a prefix of two words", testKey, apikey.Generated},
		{"our key mistyped", strings.Replace(liveKey, "A", "B", 1), apikey.Malformed},
		{"our prefix and garbage", "viva_test_whatever-this-is", apikey.Malformed},
		{"our prefix, then another environment", "viva_live_test_" + liveKey[10:], apikey.Malformed},
		{"our prefix of two words and garbage", "shop_eu_live_garbage", apikey.Malformed},
		{"our prefix without an environment", "viva_prod_0123456789", apikey.Foreign},
		{"our prefix in the middle", "x_viva_live_0123456789", apikey.Foreign},
		{"half of our prefix", "shop_live_0123456789", apikey.Foreign},
		{"another vendor's key", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", apikey.Foreign},
		{"an intact access token", token, apikey.Malformed},
		{"the shortest", strings.Repeat("x", 16), apikey.Foreign},
		{"too short", strings.Repeat("x", 15), apikey.Malformed},
		{"the longest", strings.Repeat("~", 512), apikey.Foreign},
		{"too long", strings.Repeat("~", 513), apikey.Malformed},
		{"a space", "0123456789 0123456789", apikey.Malformed},
		{"not ASCII", "0123456789é0123456789", apikey.Malformed},
		{"DEL", "0123456789\x7f0123456789", apikey.Malformed},
		{"nothing", "", apikey.Malformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, ours.Classify(test.s))
		})
	}
}

func TestKeyOfAnUnusedPrefixIsForeign(t *testing.T) {
	require.Equal(t, apikey.Foreign, apikey.NewPrefixes("shop").Classify(liveKey))
	require.Equal(t, apikey.Foreign, apikey.Prefixes(nil).Classify(liveKey))
}
