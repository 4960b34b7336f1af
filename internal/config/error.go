package config

import "strings"

// Problem is one mistake in the configuration.
type Problem struct {
	Path    string // the setting, such as server.addr; empty when no setting is meant
	Source  string // the file, variable or place the value came from
	Message string // what is wrong and what would be right; never a value
}

func (p Problem) String() string {
	switch {
	case p.Path == "":
		return p.Source + ": " + p.Message
	case p.Source == "":
		return p.Path + ": " + p.Message
	default:
		return p.Path + " (" + p.Source + "): " + p.Message
	}
}

// Error is every mistake found in one reading of the configuration.
type Error struct {
	Problems []Problem
}

// Error lists the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (e *Error) add(path, source, message string) {
	e.Problems = append(e.Problems, Problem{Path: path, Source: source, Message: message})
}

// concerns reports whether a problem with one of the paths is known already, so
// that checks across settings do not pile consequences on a cause.
func (e *Error) concerns(paths ...string) bool {
	for _, p := range e.Problems {
		for _, path := range paths {
			if p.Path == path {
				return true
			}
		}
	}
	return false
}
