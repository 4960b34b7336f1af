package models

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// Bounds of the free text of entities, in characters and elements.
const (
	MaxName          = 255
	MaxDescription   = 1000
	MaxReason        = 255
	MaxExternalID    = 255
	MaxTags          = 32
	MaxTag           = 64
	MaxPermissions   = 64
	MaxPermission    = 128
	MaxAllowedIPs    = 64
	MaxMetadata      = 50
	MaxMetadataKey   = 64
	MaxMetadataValue = 512
)

// ValidateName checks a name for people: one line of visible text.
func ValidateName(v *apierror.Validator, field, s string) {
	v.Checkf(text(s, 1, MaxName) && strings.TrimSpace(s) == s, field,
		"must be 1 to %d characters on one line, without spaces at its ends", MaxName)
}

// ValidateIdentifier checks a name for machines.
func ValidateIdentifier(v *apierror.Validator, field, s string) {
	v.Checkf(identifier(s, MaxRuleName), field, "must be 1 to %d characters of a-z, A-Z, 0-9, '.', '_' and '-'", MaxRuleName)
}

// ValidateRef checks a name by which an object is found as well as by its id.
// One that reads as a UUID could be another's id, and dots alone do not survive
// in a path.
func ValidateRef(v *apierror.Validator, field, s string) {
	v.Checkf(identifier(s, MaxRuleName) && !ambiguous(s), field,
		"must be 1 to %d characters of a-z, A-Z, 0-9, '.', '_' and '-', and no UUID or dots alone", MaxRuleName)
}

// ValidateExternalID checks an id of the caller's own system, which has to be
// told from an id of ours.
func ValidateExternalID(v *apierror.Validator, field, s string) {
	v.Checkf(text(s, 1, MaxExternalID) && !strings.ContainsFunc(s, unicode.IsSpace) && !strings.Contains(s, "/") && !ambiguous(s), field,
		"must be 1 to %d characters without spaces and slashes, and no UUID or dots alone", MaxExternalID)
}

func ambiguous(ref string) bool {
	_, err := ParseID[string](ref)
	return err == nil || ref == "." || ref == ".."
}

// ValidateInstant checks an optional instant, which all stores and JSON can
// hold from 1970 to 9999.
func ValidateInstant(v *apierror.Validator, field string, t *time.Time) {
	v.Check(t == nil || t.Unix() >= 0 && t.UTC().Year() <= 9999, field, "must be from 1970 to 9999")
}

// NormalizeInstant gives an optional instant in UTC and whole microseconds, as
// it is stored.
func NormalizeInstant(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	stored := t.UTC().Truncate(time.Microsecond)
	return &stored
}

// ValidateText checks optional text of at most limit characters, on one line.
func ValidateText(v *apierror.Validator, field, s string, limit int) {
	if !text(s, 0, limit) { // a check comes here: nothing is allocated unless it is bad
		v.Checkf(false, field, "must be at most %d characters on one line", limit)
	}
}

// ValidateWords checks a list of distinct words without spaces, such as tags.
func ValidateWords(v *apierror.Validator, field string, words []string, most, longest int) {
	v.Checkf(len(words) <= most, field, "must hold at most %d elements", most)
	for i, w := range words[:min(len(words), most)] {
		if !text(w, 1, longest) || strings.ContainsFunc(w, unicode.IsSpace) {
			v.In(field, i).Checkf(false, "", "must be 1 to %d characters without spaces", longest)
		}
		if slices.Contains(words[:i], w) {
			v.In(field, i).Check(false, "", "must not be there twice")
		}
	}
}

// ValidateMetadata checks an entity's metadata.
func ValidateMetadata(v *apierror.Validator, metadata map[string]string) {
	v.Checkf(len(metadata) <= MaxMetadata, "metadata", "must hold at most %d members", MaxMetadata)
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		if !text(name, 1, MaxMetadataKey) {
			v.Checkf(false, "metadata", "must have member names of 1 to %d characters on one line", MaxMetadataKey)
			continue
		}
		v.In("metadata").Checkf(text(metadata[name], 0, MaxMetadataValue), name, "must be at most %d characters on one line", MaxMetadataValue)
	}
}

// text tells whether s is valid UTF-8 of least to most characters, none of
// them a control character or a line break.
func text(s string, least, most int) bool {
	if len(s) > most*utf8.UTFMax || !utf8.ValidString(s) {
		return false
	}
	n := utf8.RuneCountInString(s)
	return n >= least && n <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}

func identifier(s string, most int) bool {
	if len(s) < 1 || len(s) > most {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

func join[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}
