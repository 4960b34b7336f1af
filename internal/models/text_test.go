package models_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestTextBounds(t *testing.T) {
	name := func(s string) func(*apierror.Validator) {
		return func(v *apierror.Validator) { models.ValidateName(v, "f", s) }
	}
	identifier := func(s string) func(*apierror.Validator) {
		return func(v *apierror.Validator) { models.ValidateIdentifier(v, "f", s) }
	}
	ref := func(s string) func(*apierror.Validator) {
		return func(v *apierror.Validator) { models.ValidateRef(v, "f", s) }
	}
	external := func(s string) func(*apierror.Validator) {
		return func(v *apierror.Validator) { models.ValidateExternalID(v, "f", s) }
	}
	optional := func(s string) func(*apierror.Validator) {
		return func(v *apierror.Validator) { models.ValidateText(v, "f", s, 8) }
	}
	tests := map[string]struct {
		validate func(string) func(*apierror.Validator)
		good     []string
		bad      []string
	}{
		"name": {
			name,
			[]string{"x", "Checkout (EU)", "日本語", "👩‍🚀", strings.Repeat("é", 255)},
			[]string{"", " ", " x", "x ", "\u00a0x", "a\nb", "a\tb", "a\x00b", "a\u2028b", "a\u0085b", "\xff", "a\xc3", strings.Repeat("é", 256), strings.Repeat("x", 10_000)},
		},
		"identifier": {
			identifier,
			[]string{"a", "free", "Az.09_-", strings.Repeat("x", 64), "0190a5b0-0000-7000-8000-00000000abcd"},
			[]string{"", "a b", "a/b", "é", "a\x00", strings.Repeat("x", 65)},
		},
		"ref": {
			ref,
			[]string{"a", "default", "v1.2", "..."},
			[]string{"", "a/b", ".", "..", "0190a5b0-0000-7000-8000-00000000abcd", "0190A5B0-0000-7000-8000-00000000ABCD", strings.Repeat("x", 65)},
		},
		"external id": {
			external,
			[]string{"cust_42", "a@b.example", "urn:x:1", "é", strings.Repeat("x", 255)},
			[]string{"", "a b", "a/b", ".", "..", "a\u3000b", "\x00", "0190a5b0-0000-7000-8000-00000000abcd", strings.Repeat("x", 256)},
		},
		"optional text": {
			optional,
			[]string{"", "12345678", " 日本語 "},
			[]string{"123456789", "a\nb", "\x00", "\xff", "a\x7f"},
		},
	}
	for kind, test := range tests {
		t.Run(kind, func(t *testing.T) {
			for _, s := range test.good {
				require.Empty(t, bad(t, test.validate(s)), "%q", s)
			}
			for _, s := range test.bad {
				require.Equal(t, []string{"f"}, bad(t, test.validate(s)), "%q", s)
			}
		})
	}
}

func TestInstantBounds(t *testing.T) {
	for s, want := range map[string][]string{
		"1970-01-01T00:00:00Z":           nil,
		"9999-12-31T23:59:59.999999999Z": nil,
		"1969-12-31T23:59:59Z":           {"f"},
		"0001-01-01T00:00:00Z":           {"f"},
		"9999-12-31T23:59:59-00:01":      {"f"}, // the year 10000 in UTC, which JSON cannot hold
	} {
		at, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		require.Equal(t, want, bad(t, func(v *apierror.Validator) { models.ValidateInstant(v, "f", &at) }), s)
	}
	require.Empty(t, bad(t, func(v *apierror.Validator) { models.ValidateInstant(v, "f", nil) }))
}

func TestNormalizeInstant(t *testing.T) {
	require.Nil(t, models.NormalizeInstant(nil))
	given := time.Date(2030, 1, 1, 12, 0, 0, 1_999, time.FixedZone("", 3600))
	require.Equal(t, time.Date(2030, 1, 1, 11, 0, 0, 1_000, time.UTC), *models.NormalizeInstant(&given))
}

func TestWords(t *testing.T) {
	validate := func(words ...string) []string {
		return bad(t, func(v *apierror.Validator) { models.ValidateWords(v, "tags", words, 3, 5) })
	}
	require.Empty(t, validate())
	require.Empty(t, validate("a", "b:c", "ünïcö"))
	require.Equal(t, []string{"tags[1]"}, validate("a", ""))
	require.Equal(t, []string{"tags[0]"}, validate("123456"))
	require.Equal(t, []string{"tags[0]"}, validate("a b"))
	require.Equal(t, []string{"tags[2]"}, validate("a", "b", "a"))
	require.Equal(t, []string{"tags[0]", "tags[1]", "tags[1]"}, validate("", ""))
	require.Equal(t, []string{"tags"}, validate("a", "b", "c", "d"))
	require.Equal(t, []string{"tags"}, validate(repeat(500_000, func(int) string { return "a" })[3:]...)[:1],
		"a flood of words is refused without comparing each with each")
}

func TestMetadata(t *testing.T) {
	validate := func(m map[string]string) []string {
		return bad(t, func(v *apierror.Validator) { models.ValidateMetadata(v, m) })
	}
	of := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("k%02d", i)] = ""
		}
		return m
	}
	require.Empty(t, validate(nil))
	require.Empty(t, validate(map[string]string{"region": "eu", "empty": "", strings.Repeat("k", 64): strings.Repeat("é", 512)}))
	require.Empty(t, validate(of(50)))
	require.Equal(t, []string{"metadata"}, validate(of(51)))
	require.Equal(t, []string{"metadata"}, validate(map[string]string{"": "x"}))
	require.Equal(t, []string{"metadata"}, validate(map[string]string{strings.Repeat("k", 65): "x"}))
	require.Equal(t, []string{"metadata"}, validate(map[string]string{"a\x00": "x"}))
	require.Equal(t, []string{"metadata.a", "metadata.b"}, validate(map[string]string{
		"b": strings.Repeat("x", 513), "a": "two\nlines", "c": "fine",
	}))
}
