package notify

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/viva/rate-limiter/internal/models"
)

// What is kept of an attempt, in bytes.
const (
	maxRequest  = 4 << 10
	maxRead     = 4 << 10 // of an answer
	maxResponse = 3 << 10 // less than is read, so that no secret is cut in two before it is masked
	maxError    = 500
)

// A masker hides secrets in text that a receiver may have sent back.
type masker struct{ replace *strings.Replacer }

// hiding hides each of these words, the longest first, since one may begin with
// another. Very short ones would hide ordinary text.
func hiding(as string, secrets ...string) masker {
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, secret := range secrets {
		if len(secret) >= 4 {
			pairs = append(pairs, secret, as)
		}
	}
	return masker{strings.NewReplacer(pairs...)}
}

func (m masker) response(text string) string { return cut(m.replace.Replace(clean(text)), maxResponse) }

func (m masker) failure(text string) string {
	return cut(oneLine(m.replace.Replace(clean(text))), maxError)
}

// clean makes text that can be stored and shown: valid UTF-8, without control
// characters but tabs and line breaks.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// oneLine is clean text without any line break, whatever makes one.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(clean(text), func(r rune) bool {
		return unicode.IsSpace(r) || r == '\u2028' || r == '\u2029'
	}), " ")
}

// cut bounds text to that many bytes, at the end of a character.
func cut(text string, most int) string {
	const mark = "…"
	if len(text) <= most {
		return text
	}
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

// worst is the highest severity of the events.
func worst(events []models.Event) models.Severity {
	rank, found := -1, models.SeverityInfo
	for _, e := range events {
		for i, s := range models.Severities {
			if s == e.Severity && i > rank {
				rank, found = i, s
			}
		}
	}
	return found
}
