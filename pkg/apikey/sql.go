package apikey

import (
	"database/sql/driver"
	"fmt"
)

// Value returns the 32 bytes of the hash, as a database stores it.
func (h Hash) Value() (driver.Value, error) { return h[:], nil }

// Scan reads what Value wrote. It fails unless src is 32 bytes.
func (h *Hash) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(h) {
		return fmt.Errorf("apikey: a stored hash is %d bytes, and this is %T of length %d", len(h), src, len(b))
	}
	copy(h[:], b)
	return nil
}
