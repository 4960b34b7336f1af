package apierror

import (
	"fmt"
	"strconv"
	"strings"
)

// Location is the part of a request a field was read from.
type Location string

const (
	Body   Location = "body"
	Query  Location = "query"
	Path   Location = "path"
	Header Location = "header"
)

// Field names one bad input and what would be right. It never carries the bad value,
// which may be a secret or markup.
type Field struct {
	In     Location `json:"in" enum:"body,query,path,header" doc:"Where the field was read from"`
	Name   string   `json:"field" example:"rules[0].window" doc:"Path of the field"`
	Detail string   `json:"detail" example:"must be 100ms to 744h" doc:"What would be right"`
}

// String renders the field for logs.
func (f Field) String() string {
	return string(f.In) + " " + f.Name + ": " + f.Detail
}

// MaxFields is how many bad fields a Validator reports; it still notices more.
const MaxFields = 100

// Validator collects bad fields, so that a caller learns of all of them at once.
// The zero value is ready and reports fields of the body. Not safe for concurrent use.
type Validator struct {
	Location Location // Body when empty

	root *Validator // where In's validators report to; nil at the root
	path string

	fields []Field // of the root only
}

// Check records the field with what would be right, unless ok. An empty name is the place
// itself that In descended to.
func (v *Validator) Check(ok bool, name, detail string) {
	if !ok {
		v.add(name, detail)
	}
}

// Checkf is Check with a formatted detail. Format bounds, not the bad value.
func (v *Validator) Checkf(ok bool, name, format string, args ...any) {
	if !ok {
		v.add(name, fmt.Sprintf(format, args...))
	}
}

// In returns a validator for what is inside the named field, or inside one element of it:
// In("address") and In("rules", 0). What it records is recorded in v.
func (v *Validator) In(name string, index ...int) *Validator {
	path := v.join(name)
	for _, i := range index {
		path += "[" + strconv.Itoa(i) + "]"
	}
	return &Validator{Location: v.Location, root: v.top(), path: path}
}

// Err is nil when every check passed, else an *Error of CodeValidationFailed with all fields
// recorded so far, in order, by v and every validator that shares its root.
func (v *Validator) Err() error {
	if fields := v.top().fields; len(fields) > 0 {
		return Invalid(fields...)
	}
	return nil
}

func (v *Validator) add(name, detail string) {
	top := v.top()
	if len(top.fields) == MaxFields {
		return
	}
	in := v.Location
	if in == "" {
		in = Body
	}
	top.fields = append(top.fields, Field{In: in, Name: v.join(name), Detail: detail})
}

func (v *Validator) top() *Validator {
	if v.root != nil {
		return v.root
	}
	return v
}

func (v *Validator) join(name string) string {
	if v.path == "" || name == "" || strings.HasPrefix(name, "[") {
		return v.path + name
	}
	return v.path + "." + name
}
