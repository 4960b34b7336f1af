package controllers

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/pkg/apierror"
)

// humaContext is embedded under a name that leaves its Context method visible.
type humaContext = huma.Context

// request is one that the gate has checked: its body is read, and the media
// type of its answer chosen.
type request struct {
	humaContext
	accept string
	body   []byte
}

// Unwrap leads to the adapter's own context.
func (r *request) Unwrap() huma.Context { return r.humaContext }

func (r *request) Header(name string) string {
	if name == "Accept" {
		return r.accept
	}
	return r.humaContext.Header(name)
}

// BodyReader begins anew with each call, as a transaction may.
func (r *request) BodyReader() io.Reader { return bytes.NewReader(r.body) }

// SetReadDeadline leaves the server's own deadline: the body is read.
func (r *request) SetReadDeadline(time.Time) error { return nil }

// gate lets through what an operation's schemas describe, and nothing else.
// Huma binds leniently: without the gate, unknown and repeated parameters,
// members repeated or in another case, missing content types, and integers
// beyond 2^53 would pass, and its errors would repeat the bad values.
func (a *api) gate(ctx huma.Context, next func(huma.Context)) {
	c := humagin.Unwrap(ctx)
	r, err := a.inspect(c, ctx.Operation())
	if err != nil {
		fail(c, err)
		return
	}
	r.humaContext = ctx
	next(r)
}

func (a *api) inspect(c *gin.Context, op *huma.Operation) (*request, error) {
	accept, err := negotiate(c.Request.Header["Accept"], op)
	if err != nil {
		return nil, err
	}
	if err := a.inspectParameters(c, op); err != nil {
		return nil, err
	}
	body, err := a.inspectBody(c.Request, op)
	if err != nil {
		return nil, err
	}
	return &request{accept: accept, body: body}, nil
}

// inspectParameters reports everything wrong with path, query and header.
func (a *api) inspectParameters(c *gin.Context, op *huma.Operation) error {
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return apierror.New(apierror.CodeBadRequest, "The query is not well-formed: percent signs must be followed by two hexadecimal digits")
	}
	var fields []apierror.Field
	for _, p := range op.Parameters {
		v := apierror.Validator{Location: apierror.Location(p.In)}
		a.inspectParameter(&v, p, parameterValues(c, query, p))
		fields = append(fields, fieldsOf(v.Err())...)
		if p.In == "query" {
			delete(query, p.Name)
		}
	}
	v := apierror.Validator{Location: apierror.Query}
	for name := range query {
		v.Check(false, printable(name), "is no parameter of this operation")
	}
	if fields = append(fields, fieldsOf(v.Err())...); len(fields) > 0 {
		return apierror.Invalid(fields...)
	}
	return nil
}

func parameterValues(c *gin.Context, query url.Values, p *huma.Param) []string {
	switch p.In {
	case "path":
		return []string{c.Param(p.Name)}
	case "query":
		return query[p.Name]
	default:
		return c.Request.Header.Values(p.Name)
	}
}

func (a *api) inspectParameter(v *apierror.Validator, p *huma.Param, values []string) {
	switch len(values) {
	case 0:
		v.Check(!p.Required, p.Name, "is required")
	case 1:
		c := checker{registry: a.huma.OpenAPI().Components.Schemas}
		c.parameter(v.In(p.Name), p.Schema, values[0])
	default:
		v.Check(false, p.Name, "must be given once")
	}
}

// inspectBody reads and checks the body.
func (a *api) inspectBody(r *http.Request, op *huma.Operation) ([]byte, error) {
	if op.RequestBody == nil {
		return nil, refuseBody(r)
	}
	if r.ContentLength == 0 {
		if op.RequestBody.Required {
			return nil, apierror.New(apierror.CodeBadRequest, "A body is required",
				apierror.Field{In: apierror.Body, Name: bodyRoot, Detail: "must be a JSON object"})
		}
		return nil, nil
	}
	media, err := bodyMedia(r, op)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return body, checkJSON(a.huma.OpenAPI().Components.Schemas, media.Schema, body)
}

// refuseBody spares a caller from believing that what it sent was read.
func refuseBody(r *http.Request) error {
	if r.ContentLength == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if n, err := io.ReadFull(r.Body, make([]byte, 1)); n == 0 {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	return apierror.New(apierror.CodeBadRequest, "This operation takes no body",
		apierror.Field{In: apierror.Body, Name: bodyRoot, Detail: "must be absent"})
}

func bodyMedia(r *http.Request, op *huma.Operation) (*huma.MediaType, error) {
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, stated := parameters["charset"]
	if found := op.RequestBody.Content[media]; found != nil && err == nil && (!stated || strings.EqualFold(charset, "utf-8")) {
		return found, nil
	}
	return nil, apierror.New(apierror.CodeUnsupportedMediaType, "The body must come as "+strings.Join(mediaTypes(op.RequestBody.Content), " or "),
		apierror.Field{In: apierror.Header, Name: "Content-Type", Detail: "must be one of: " + strings.Join(mediaTypes(op.RequestBody.Content), ", ")})
}

func mediaTypes(content map[string]*huma.MediaType) []string {
	names := make([]string, 0, len(content))
	for name := range content {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func fieldsOf(err error) []apierror.Field {
	if e, ok := apierror.As(err); ok {
		return e.Fields
	}
	return nil
}
