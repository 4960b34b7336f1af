package models

import "github.com/viva/rate-limiter/pkg/apikey"

// DirectorySubject is invalidated when a keyspace appears, disappears, or
// takes its first imported key.
const DirectorySubject Subject = "keyspaces:all"

// Directory knows the keyspaces' prefixes, so that a string presented as a key
// can be judged before anything is looked up. It is immutable.
type Directory struct {
	prefixes apikey.Prefixes
	imported bool
}

// NewDirectory makes the directory of all keyspaces.
func NewDirectory(keyspaces []Keyspace) *Directory {
	d := &Directory{prefixes: make(apikey.Prefixes, len(keyspaces))}
	for _, ks := range keyspaces {
		d.prefixes[ks.Prefix] = struct{}{}
		d.imported = d.imported || ks.Imported
	}
	return d
}

// Plausible tells whether a string can be a key: one that begins like ours
// must pass its checksum, any other is considered only where keys made
// elsewhere were imported.
func (d *Directory) Plausible(s string) bool {
	switch d.prefixes.Classify(s) {
	case apikey.Generated:
		return true
	case apikey.Foreign:
		return d.imported
	default:
		return false
	}
}
