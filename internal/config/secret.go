package config

import "regexp"

const hidden = "***"

// Secret is a value that formatting, JSON and YAML show as ***. Convert it to a
// string where the value itself is needed.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString keeps the value out of %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps the value out of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// URL is an address whose passwords formatting, JSON and YAML show as ***.
// Convert it to a string to connect.
type URL string

var (
	userPassword  = regexp.MustCompile(`^([^:]*://[^:/?#]*):[^/]*@`)
	queryPassword = regexp.MustCompile(`([?&][^=&]*password=)[^&]*`)
)

func (u URL) String() string {
	masked := userPassword.ReplaceAllString(string(u), "${1}:"+hidden+"@")
	return queryPassword.ReplaceAllString(masked, "${1}"+hidden)
}

// GoString keeps passwords out of %#v.
func (u URL) GoString() string { return u.String() }

// MarshalText keeps passwords out of JSON and YAML.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
