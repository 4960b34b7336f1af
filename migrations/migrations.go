// Package migrations holds the numbered SQL files that make and change the
// database, one folder for each engine. Both folders describe the same schema:
// a test compares them column by column and index by index.
//
// A migration that was released never changes; a change is a new file in both
// folders, with a Down part that takes it back.
//
// Floor F0: imports only the standard library.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// Postgres gives the files for PostgreSQL 15 and newer.
func Postgres() fs.FS { return folder("postgres") }

// SQLite gives the files for SQLite 3.42 and newer.
func SQLite() fs.FS { return folder("sqlite") }

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // only a name that is no valid path, and both are constants
	}
	return sub
}
