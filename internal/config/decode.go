package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setting is one declared field of a Config: where it is and how it is read.
type setting struct {
	path  string // server.addr
	tag   reflect.StructTag
	value reflect.Value // the field itself
}

// settingsOf lists every setting of c in declared order.
func settingsOf(c *Config) []setting {
	return appendSettings(nil, "", reflect.ValueOf(c).Elem())
}

func appendSettings(all []setting, prefix string, group reflect.Value) []setting {
	for field, value := range group.Fields() {
		key, ok := field.Tag.Lookup("key")
		switch {
		case !ok:
		case field.Type.Kind() == reflect.Struct:
			all = appendSettings(all, prefix+key+".", value)
		default:
			all = append(all, setting{path: prefix + key, tag: field.Tag, value: value})
		}
	}
	return all
}

// standard is the default, as text.
func (s setting) standard() string { return s.tag.Get("default") }

// env is the name of the environment variable that follows from the path.
func (s setting) env() string { return envName(s.path) }

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// accepts says in words which values the setting takes.
func (s setting) accepts() string {
	limits := s.tag.Get("min") + " to " + s.tag.Get("max")
	switch s.value.Interface().(type) {
	case bool:
		return "true or false"
	case int, int64:
		return "a whole number from " + limits
	case float64:
		return "a number from " + limits
	case time.Duration:
		return "a duration from " + limits
	case []netip.Prefix:
		return "a list of networks or addresses, such as 10.0.0.0/8"
	case []string:
		return "a list, each " + s.format().want
	}
	if choices, ok := s.tag.Lookup("oneof"); ok {
		words := strings.Fields(choices)
		last := len(words) - 1
		return strings.Join(words[:last], ", ") + " or " + words[last]
	}
	return s.format().want
}

func (s setting) format() format { return formats[s.tag.Get("format")] }

// mismatch is the error for a value that is not of the kind or range declared.
func (s setting) mismatch() error { return errors.New("want " + s.accepts()) }

// set checks a value as a source gave it (text, or what YAML made of it) and
// stores it in the field. Its errors never contain the value.
func (s setting) set(raw any) error {
	if raw == nil { // a group given as something else; reported with the file
		raw = s.standard()
	}
	if s.value.Kind() == reflect.Slice {
		return s.setList(raw)
	}
	text, ok := raw.(string)
	if !ok {
		if s.value.Kind() == reflect.String {
			return errors.New("want text, in quotes: " + s.accepts())
		}
		switch raw.(type) {
		case bool, int, int64, uint64, float64:
			text = fmt.Sprint(raw)
		default:
			return s.mismatch()
		}
	}
	switch s.value.Interface().(type) {
	case bool:
		return s.setBool(text)
	case int, int64:
		return s.setInt(text)
	case float64:
		return s.setFloat(text)
	case time.Duration:
		return s.setDuration(text)
	default:
		return s.setText(text)
	}
}

func (s setting) setBool(text string) error {
	on, err := strconv.ParseBool(text)
	if err != nil {
		return s.mismatch()
	}
	s.value.SetBool(on)
	return nil
}

func (s setting) setInt(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < mustInt(s.tag.Get("min")) || n > mustInt(s.tag.Get("max")) {
		return s.mismatch()
	}
	s.value.SetInt(n)
	return nil
}

func (s setting) setFloat(text string) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= mustFloat(s.tag.Get("min")) && n <= mustFloat(s.tag.Get("max"))) { // NaN is neither
		return s.mismatch()
	}
	s.value.SetFloat(n)
	return nil
}

func (s setting) setDuration(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < mustDuration(s.tag.Get("min")) || d > mustDuration(s.tag.Get("max")) {
		return s.mismatch()
	}
	s.value.SetInt(int64(d))
	return nil
}

func (s setting) setText(text string) error {
	if choices, ok := s.tag.Lookup("oneof"); ok {
		if !slices.Contains(strings.Fields(choices), text) {
			return s.mismatch()
		}
	} else if text != "" || s.standard() != "" {
		if err := s.format().check(text); err != nil {
			return err
		}
	}
	s.value.SetString(text)
	return nil
}

// mustInt, mustFloat and mustDuration read tags, which are part of the program.

func mustInt(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func mustFloat(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func mustDuration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return d
}
