package controllers

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// bodyRoot names the body itself where an error is about no field of it.
const bodyRoot = "body"

// maxInteger is the largest integer that every JSON reader holds exactly.
const maxInteger = 1<<53 - 1

// Formats of strings that the check knows besides those of JSON Schema.
const formatDuration = "go-duration"

// checkJSON checks that data is one JSON value that is as the schema says, in
// one pass. It is stricter than JSON Schema in three ways: no member may come
// twice, strings hold no control characters, and integers are written in
// digits and lie within ±(2^53−1). Errors name fields and never show values.
func checkJSON(registry huma.Registry, schema *huma.Schema, data []byte) error {
	c := checker{registry: registry, dec: jsontext.NewDecoder(bytes.NewReader(data))}
	var v apierror.Validator
	if err := c.value(&v, schema); err != nil {
		return syntaxError(err, data)
	}
	if err := c.end(); err != nil {
		return syntaxError(err, data)
	}
	return nameRoot(v.Err())
}

// checker walks over JSON along a schema.
type checker struct {
	registry huma.Registry
	dec      *jsontext.Decoder
}

// value checks the next value. What breaks the schema goes to v; the error
// says that what follows is no JSON.
func (c *checker) value(v *apierror.Validator, s *huma.Schema) error {
	for s.Ref != "" {
		s = c.registry.SchemaFromRef(s.Ref)
	}
	kind := c.dec.PeekKind()
	if kind == jsontext.KindNull && s.Nullable {
		return c.dec.SkipValue()
	}
	if want := kindOf(s.Type); kind != want && (s.Type != huma.TypeBoolean || kind != jsontext.KindFalse) {
		v.Check(false, "", "must be "+typeName(s))
		return c.dec.SkipValue()
	}
	switch kind {
	case jsontext.KindBeginObject:
		return c.object(v, s)
	case jsontext.KindBeginArray:
		return c.array(v, s)
	}
	token, err := c.dec.ReadToken()
	if err != nil {
		return err
	}
	switch kind {
	case jsontext.KindString:
		c.text(v, s, token.String())
	case jsontext.KindNumber:
		if s.Type == huma.TypeNumber {
			c.number(v, s, token.String())
		} else {
			c.integer(v, s, token.String())
		}
	}
	return nil
}

func (c *checker) object(v *apierror.Validator, s *huma.Schema) error {
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for c.dec.PeekKind() != jsontext.KindEndObject {
		token, err := c.dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		seen[name] = true
		if err := c.member(v, s, name); err != nil {
			return err
		}
	}
	for _, name := range s.Required {
		v.Check(seen[name], name, "is required")
	}
	if s.MaxProperties != nil {
		v.Checkf(len(seen) <= *s.MaxProperties, "", "must hold at most %d members", *s.MaxProperties)
	}
	_, err := c.dec.ReadToken()
	return err
}

func (c *checker) member(v *apierror.Validator, s *huma.Schema, name string) error {
	if property := s.Properties[name]; property != nil {
		return c.value(v.In(name), property)
	}
	if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
		v.Check(!hasControl(name), printable(name), "must not hold control characters in its name")
		return c.value(v.In(printable(name)), values)
	}
	detail := "is not known here"
	for known := range s.Properties {
		if strings.EqualFold(known, name) {
			detail = fmt.Sprintf("is not known here: it is written %q", known)
		}
	}
	v.Check(false, printable(name), detail)
	return c.dec.SkipValue()
}

func (c *checker) array(v *apierror.Validator, s *huma.Schema) error {
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	n := 0
	for ; c.dec.PeekKind() != jsontext.KindEndArray; n++ {
		if err := c.value(v.In("["+strconv.Itoa(n)+"]"), s.Items); err != nil {
			return err
		}
	}
	if least, most := s.MinItems, s.MaxItems; least != nil && n < *least || most != nil && n > *most {
		v.Check(false, "", "must hold "+between(least, most, "element"))
	}
	_, err := c.dec.ReadToken()
	return err
}

// parameter checks a value of path, query or header.
func (c *checker) parameter(v *apierror.Validator, s *huma.Schema, value string) {
	switch s.Type {
	case huma.TypeInteger:
		c.integer(v, s, value)
	case huma.TypeBoolean:
		v.Check(value == "true" || value == "false", "", "must be true or false")
	default:
		c.text(v, s, value)
	}
}

func (c *checker) integer(v *apierror.Validator, s *huma.Schema, digits string) {
	least, most := int64(-maxInteger), int64(maxInteger)
	if s.Minimum != nil {
		least = int64(*s.Minimum)
	}
	if s.Maximum != nil {
		most = int64(*s.Maximum)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	v.Checkf(err == nil && n >= least && n <= most && digits[0] != '+', "", "must be an integer from %d to %d, written in digits", least, most)
}

// number checks a number that may have decimals.
func (c *checker) number(v *apierror.Validator, s *huma.Schema, digits string) {
	n, err := strconv.ParseFloat(digits, 64)
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		v.Checkf(err == nil && n >= *s.Minimum && n <= *s.Maximum, "", "must be a number from %g to %g", *s.Minimum, *s.Maximum)
	default:
		v.Check(err == nil, "", "must be a number of at most 64 bits")
	}
}

func (c *checker) text(v *apierror.Validator, s *huma.Schema, text string) {
	n := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text):
		v.Check(false, "", "must be valid UTF-8")
	case hasControl(text):
		v.Check(false, "", "must not hold control characters")
	case len(s.Enum) > 0:
		v.Checkf(slices.Contains(s.Enum, any(text)), "", "must be one of: %s", listed(s.Enum))
	case s.MinLength != nil && n < *s.MinLength || s.MaxLength != nil && n > *s.MaxLength:
		v.Check(false, "", "must be "+between(s.MinLength, s.MaxLength, "character"))
	case s.Pattern != "" && !pattern(s.Pattern).MatchString(text):
		v.Check(false, "", "must be "+s.PatternDescription)
	default:
		c.format(v, s.Format, text)
	}
}

func (c *checker) format(v *apierror.Validator, format, text string) {
	switch format {
	case "date-time":
		v.Check(decodes(text), "", `must be a time as RFC 3339 writes it, such as "2026-01-31T09:30:00Z"`)
	case "ip":
		_, err := netip.ParseAddr(text)
		v.Check(err == nil, "", "must be an IPv4 or IPv6 address")
	case formatDuration:
		_, err := time.ParseDuration(text)
		v.Check(err == nil, "", `must be a duration such as "30s" or "1h30m"`)
	}
}

// decodes tells whether JSON's decoder takes a text as a time: unlike
// [time.Parse], it refuses a comma in the seconds, and hours without a zero.
func decodes(text string) bool {
	quoted, err := jsontext.AppendQuote(nil, text)
	return err == nil && readJSON(quoted, new(time.Time)) == nil
}

// end checks that nothing follows the one value.
func (c *checker) end() error {
	if kind := c.dec.PeekKind(); kind != jsontext.KindInvalid {
		return errTrailing
	}
	_, err := c.dec.ReadToken()
	return trailing(err)
}

var patterns sync.Map // of *regexp.Regexp, by the pattern in the schema

func pattern(text string) *regexp.Regexp {
	if re, ok := patterns.Load(text); ok {
		return re.(*regexp.Regexp)
	}
	re, _ := patterns.LoadOrStore(text, regexp.MustCompile(text))
	return re.(*regexp.Regexp)
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
