package controllers

import (
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
)

// appendAnswer writes the JSON of answerOf(a), byte for byte, without making
// it first.
func appendAnswer(b []byte, a *validation.Answer) []byte {
	b = append(b, `{"allowed":`...)
	b = strconv.AppendBool(b, a.Allowed)
	b = append(b, `,"code":`...)
	b = appendString(b, string(a.Code))
	b = append(b, `,"request_id":`...)
	b = appendString(b, a.RequestID)
	b = append(b, `,"degraded":`...)
	b = strconv.AppendBool(b, a.Degraded)
	if a.Replayed {
		b = append(b, `,"replayed":true`...)
	}
	if a.Settleable {
		b = append(b, `,"settleable":true`...)
	}
	b = appendRetry(b, retryMilliseconds(a.RetryAfter))
	if a.Snapshot != nil {
		b = appendAnswerKey(b, a.Snapshot)
	}
	b = append(b, `,"limits":[`...)
	for i := range a.Limits {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendAnswerLimit(b, &a.Limits[i])
	}
	b = append(b, `],"headers":{`...)
	var headers limitHeaders
	headers.of(a)
	separate := false
	for _, each := range headers.all() {
		if len(each.value) == 0 {
			continue
		}
		if separate {
			b = append(b, ',')
		}
		separate = true
		b = appendString(b, each.name)
		b = append(b, ':')
		b = appendString(b, each.value)
	}
	return append(b, "}}"...)
}

func appendAnswerKey(b []byte, s *models.Snapshot) []byte {
	b = append(b, `,"key":{"id":`...)
	b = appendString(b, string(s.Key.ID))
	b = append(b, `,"name":`...)
	b = appendString(b, s.Key.Name)
	b = append(b, `,"keyspace":`...)
	b = appendString(b, s.Keyspace.Name)
	b = append(b, `,"owner":`...)
	b = appendString(b, s.Owner.Ref())
	b = append(b, `,"plan":`...)
	b = appendString(b, s.Plan.Name)
	b = append(b, `,"environment":`...)
	b = appendString(b, string(s.Key.Environment))
	for i, permission := range s.Key.Permissions {
		if i == 0 {
			b = append(b, `,"permissions":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendString(b, permission)
	}
	if len(s.Key.Permissions) > 0 {
		b = append(b, ']')
	}
	b = append(b, `,"metadata":{`...)
	if len(s.Key.Metadata) > 0 {
		for i, name := range slices.Sorted(maps.Keys(s.Key.Metadata)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, name)
			b = append(b, ':')
			b = appendString(b, s.Key.Metadata[name])
		}
	}
	return append(b, "}}"...)
}

func appendAnswerLimit(b []byte, l *validation.Limit) []byte {
	b = append(b, `{"name":`...)
	b = appendString(b, l.Rule.Name)
	b = append(b, `,"limit":`...)
	b = strconv.AppendInt(b, l.Rule.Limit, 10)
	if l.Rule.Burst != 0 {
		b = append(b, `,"burst":`...)
		b = strconv.AppendInt(b, l.Rule.Burst, 10)
	}
	b = append(b, `,"remaining":`...)
	b = strconv.AppendInt(b, l.Remaining, 10)
	b = append(b, `,"reset_after_ms":`...)
	b = strconv.AppendInt(b, milliseconds(l.ResetAfter), 10)
	b = appendRetry(b, retryMilliseconds(l.RetryAfter))
	if l.Rule.Shadow {
		b = append(b, `,"shadow":true`...)
	}
	if l.WouldDeny {
		b = append(b, `,"would_deny":true`...)
	}
	return append(b, '}')
}

func appendRetry(b []byte, ms int64) []byte {
	if ms == 0 {
		return b
	}
	b = append(b, `,"retry_after_ms":`...)
	return strconv.AppendInt(b, ms, 10)
}

// appendString quotes a string: as it is where nothing needs escaping.
func appendString[T string | []byte](b []byte, s T) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			// Its error is invalid UTF-8, which it replaces by U+FFFD.
			b, _ = jsontext.AppendQuote(b, s)
			return b
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
