package controllers

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/viva/rate-limiter/pkg/apierror"
)

func kindOf(schemaType string) jsontext.Kind {
	switch schemaType {
	case huma.TypeString:
		return jsontext.KindString
	case huma.TypeInteger, huma.TypeNumber:
		return jsontext.KindNumber
	case huma.TypeBoolean:
		return jsontext.KindTrue
	case huma.TypeArray:
		return jsontext.KindBeginArray
	case huma.TypeObject:
		return jsontext.KindBeginObject
	default:
		// No operation takes what the check does not know.
		panic(fmt.Sprintf("controllers: a schema of type %q cannot be checked", schemaType))
	}
}

func typeName(s *huma.Schema) string {
	name := map[string]string{
		huma.TypeString: "a string", huma.TypeInteger: "an integer", huma.TypeBoolean: "true or false",
		huma.TypeNumber: "a number", huma.TypeArray: "an array", huma.TypeObject: "an object",
	}[s.Type]
	if s.Nullable {
		name += " or null"
	}
	return name
}

// between says how many: "1 to 255 characters".
func between(least, most *int, unit string) string {
	count := func(n int) string {
		if n == 1 {
			return "1 " + unit
		}
		return strconv.Itoa(n) + " " + unit + "s"
	}
	switch {
	case least == nil:
		return "at most " + count(*most)
	case most == nil:
		return "at least " + count(*least)
	default:
		return strconv.Itoa(*least) + " to " + count(*most)
	}
}

func listed(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}

// printable shows a name that a caller chose, as far as it is fit to be shown.
func printable(name string) string {
	const longest = 64
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	if name == "" {
		return `""`
	}
	return name
}

var errTrailing = errors.New("more than one JSON value")

// trailing reads the error of a reader that should be at its end.
func trailing(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return errTrailing
}

// syntaxError tells where a body stops being JSON.
func syntaxError(err error, data []byte) error {
	field := apierror.Field{In: apierror.Body, Name: bodyRoot}
	syntactic, ok := errors.AsType[*jsontext.SyntacticError](err)
	if ok {
		field.Name = fieldPath(syntactic.JSONPointer)
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		field.Detail = "must not be there twice"
	case !utf8.Valid(data):
		field.Detail = "must be valid UTF-8"
	case errors.Is(err, errTrailing):
		field.Detail = "must be one JSON value, and nothing after it"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		field.Detail = "must be complete JSON: it ends too early"
	case ok:
		field.Detail = fmt.Sprintf("must be JSON: it is not from byte %d on", syntactic.ByteOffset)
	default:
		field.Detail = "must be JSON"
	}
	return apierror.New(apierror.CodeInvalidJSON, "The body is not well-formed JSON", field)
}

// fieldPath writes a JSON pointer as the other errors write fields:
// rules[0].window.
func fieldPath(pointer jsontext.Pointer) string {
	var path strings.Builder
	for token := range pointer.Tokens() {
		switch _, err := strconv.ParseUint(token, 10, 32); {
		case err == nil:
			path.WriteString("[" + token + "]")
		case path.Len() > 0:
			path.WriteString("." + printable(token))
		default:
			path.WriteString(printable(token))
		}
	}
	if path.Len() == 0 {
		return bodyRoot
	}
	return path.String()
}

// nameRoot names the body where an error is about no field of it.
func nameRoot(err error) error {
	if e, ok := apierror.As(err); ok {
		for i := range e.Fields {
			if e.Fields[i].Name == "" {
				e.Fields[i].Name = bodyRoot
			}
		}
	}
	return err
}
