package controllers

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// adapter puts Huma's operations on Gin, each behind the guards it declares.
type adapter struct {
	engine *gin.Engine
	guard  Guard
}

// fastPath is the member of an operation's metadata that holds a func(*gin.Context) bool.
// It answers a request without Huma or, returning false, leaves it as it was.
const fastPath = "fast_path"

// Handle registers an operation. GET also answers HEAD.
func (a adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	handlers := append(accessHandlers(a.guard, op), serve(op, handler))
	path := strings.NewReplacer("{", ":", "}", "").Replace(op.Path)
	a.engine.Handle(op.Method, path, handlers...)
	if op.Method == http.MethodGet {
		a.engine.HEAD(path, handlers...)
	}
}

func serve(op *huma.Operation, handler func(huma.Context)) gin.HandlerFunc {
	fast, ok := op.Metadata[fastPath].(func(*gin.Context) bool)
	return func(c *gin.Context) {
		if !ok || !fast(c) {
			handler(humagin.NewContext(op, c))
		}
	}
}

// ServeHTTP is asked for by Huma, for its test tools.
func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.engine.ServeHTTP(w, r) }

// settleHuma sets what Huma keeps for the whole process.
var settleHuma = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false
	huma.NewErrorWithContext = record
	// Only the type of what it returns is used: for the schema of errors.
	huma.NewError = func(int, string, ...error) huma.StatusError { return problemSchema{} }
})

// problemSchema stands for [apierror.Problem] in the OpenAPI document.
type problemSchema struct{}

func (problemSchema) GetStatus() int            { return http.StatusInternalServerError }
func (problemSchema) Error() string             { return "" }
func (problemSchema) ContentType(string) string { return apierror.ContentType }

// recorded is the answer that Huma gives for an error: none, as the error is
// answered by whoever reads it from the Gin context.
type recorded struct{ status int }

func (r recorded) GetStatus() int { return r.status }
func (recorded) Error() string    { return "" }

// record keeps an error of a handler, or of Huma itself, in the Gin context.
func record(ctx huma.Context, status int, message string, causes ...error) huma.StatusError {
	fail(humagin.Unwrap(ctx), cause(status, message, causes))
	return recorded{status}
}

func cause(status int, message string, causes []error) error {
	for _, err := range causes {
		// Huma's own finding about the input, which carries the input: the gate
		// lets nothing through that leads here.
		if _, input := errors.AsType[*huma.ErrorDetail](err); !input && err != nil {
			return err
		}
	}
	if status < http.StatusInternalServerError {
		return apierror.Invalid(apierror.Field{In: apierror.Body, Name: bodyRoot, Detail: "must be as the schema says"})
	}
	return errors.New(message)
}

// fail records the error that the request is to be answered with.
func fail(c *gin.Context, err error) {
	_ = c.Error(err) // what it returns is what it was given
	c.Abort()
}

func newRegistry() huma.Registry {
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	registry.RegisterTypeAlias(reflect.TypeFor[problemSchema](), reflect.TypeFor[apierror.Problem]())
	return registry
}

// schemaName names the schema of a wire type: KeyBody is Key.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if item, ok := strings.CutPrefix(name, "List"); ok && item != "" {
		name = item + "List"
	}
	return strings.ReplaceAll(name, "Body", "")
}
