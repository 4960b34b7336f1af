package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/configuration.md instead of comparing it")

const referenceFile = "../../docs/configuration.md"

const referenceHead = "<!-- Generated from internal/config; change it there and run `go generate ./internal/config`. -->\n" + `# Configuration

Viva needs no configuration. Each setting below can be given in a YAML file, in the environment or, for some, on the command line; later ones win.

- **File**: ` + "`--config FILE` or `VIVA_CONFIG`" + `; none by default. Keys are nested as the headings here are.
- **Environment**: the variable of each setting, or the same with ` + "`_FILE`" + ` added, naming a file that holds the value (its last line break is dropped). Lists have commas. An empty variable is an empty value.
- Durations have units: ` + "`500ms`, `30s`, `5m`, `24h`" + `.

Unknown settings, unknown ` + "`VIVA_`" + ` variables and bad values are all reported together, and the process exits with code 2. ` + "`viva config`" + ` prints what is in effect and where each value came from, with secrets masked.
`

const referenceTail = `
## Engines

| | ` + "`redis.url` empty | `redis.url` set" + ` |
|---|---|---|
| ` + "`database.url`" + ` empty | SQLite, for one ` + "`viva serve`" + ` | refused: a SQLite file serves only one process |
| ` + "`database.url`" + ` set | PostgreSQL, for one ` + "`viva serve`" + ` | any number of API and worker processes |

The separate API and worker processes require both.

## Redis URLs

With ` + "`rediss`" + ` in place of ` + "`redis`" + `, connections use TLS. Special characters in passwords are percent-encoded.

| servers | URL |
|---|---|
| one | ` + "`redis://user:password@host:6379/0`" + ` |
| Sentinel | ` + "`redis+sentinel://user:password@host:26379,host:26379/0?master=name`" + `; where Sentinels ask for it, ` + "`&sentinel_username=…&sentinel_password=…`" + ` |
| Cluster | ` + "`redis+cluster://user:password@host:6379,host:6379`" + ` |
`

func TestReferenceIsCurrent(t *testing.T) {
	want := reference(t)
	if *update {
		require.NoError(t, os.WriteFile(referenceFile, []byte(want), 0o644))
	}
	got, err := os.ReadFile(referenceFile)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "run `go generate ./internal/config`")
}

// reference writes the page: a table for each group, from tags and comments.
func reference(t *testing.T) string {
	comments := fieldComments(t)
	var page strings.Builder
	page.WriteString(referenceHead)
	var group func(prefix string, typ reflect.Type)
	group = func(prefix string, typ reflect.Type) {
		fmt.Fprintf(&page, "\n%s\n\n| setting | variable | default | accepts | |\n|---|---|---|---|---|\n", heading(prefix, comments[typ.Name()]))
		var below []reflect.StructField
		for field := range typ.Fields() {
			key, ok := field.Tag.Lookup("key")
			if !ok {
				continue
			}
			if field.Type.Kind() == reflect.Struct {
				below = append(below, field)
				continue
			}
			comment := comments[typ.Name()+"."+field.Name]
			require.NotEmpty(t, comment, "%s.%s has no comment", typ.Name(), field.Name)
			s := setting{path: prefix + key, tag: field.Tag, value: reflect.New(field.Type).Elem()}
			fmt.Fprintf(&page, "| `%s` | `%s` | %s | %s | %s |\n", s.path, s.env(), code(s.standard()), s.accepts(), comment)
		}
		for _, field := range below {
			group(prefix+field.Tag.Get("key")+".", field.Type)
		}
	}
	group("", reflect.TypeFor[Config]())
	page.WriteString(referenceTail)
	return page.String()
}

func heading(prefix, comment string) string {
	if prefix == "" {
		return "## Installation"
	}
	return "## " + strings.TrimSuffix(prefix, ".") + "\n\n" + comment
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// fieldComments reads the comments of the struct types of this package: by type
// name, and by type and field name.
func fieldComments(t *testing.T) map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "settings.go", nil, parser.ParseComments)
	require.NoError(t, err)
	comments := map[string]string{}
	text := func(group *ast.CommentGroup) string { return strings.Join(strings.Fields(group.Text()), " ") }
	for _, declaration := range file.Decls {
		types, ok := declaration.(*ast.GenDecl)
		if !ok || types.Tok != token.TYPE {
			continue
		}
		spec := types.Specs[0].(*ast.TypeSpec)
		comments[spec.Name.Name] = text(types.Doc)
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			comments[spec.Name.Name+"."+field.Names[0].Name] = text(field.Doc)
		}
	}
	return comments
}
