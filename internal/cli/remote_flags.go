package cli

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// choice is a flag with one of a few values.
type choice struct {
	value   string
	allowed []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }

func (c *choice) Set(value string) error {
	if !slices.Contains(c.allowed, value) {
		return fmt.Errorf("must be one of: %s", words(c.allowed))
	}
	c.value = value
	return nil
}

// instant is a flag that names an instant, by itself or by how far off it is.
type instant struct{ at time.Time }

func (i *instant) Type() string { return "when" }

func (i *instant) String() string {
	if i.at.IsZero() {
		return ""
	}
	return i.at.Format(time.RFC3339)
}

func (i *instant) Set(text string) (err error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		i.at = time.Now().UTC().Add(d).Truncate(time.Microsecond)
		return nil
	}
	if i.at, err = time.Parse(time.RFC3339, text); err != nil {
		return errors.New("must be a duration from now such as 720h, or a time such as 2027-01-31T00:00:00Z")
	}
	return nil
}

// given is the instant, or nil where there is none.
func (i *instant) given() *time.Time {
	if i.at.IsZero() {
		return nil
	}
	return &i.at
}
