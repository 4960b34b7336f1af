package controllers

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/swaggest/swgui/v5/static"
)

// The documentation is Swagger UI, served from this binary: its page loads
// nothing from elsewhere and runs no script that is not a file of its own.

//go:embed docs/index.html docs/docs.js
var docsPage embed.FS

// docsPolicy is the Content-Security-Policy of the page. Data URLs are the
// icons in the UI's style sheet.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// registerDocs serves the document and a page to read it with.
func (a *api) registerDocs() {
	document, err := a.huma.OpenAPI().MarshalJSON()
	if err != nil {
		panic(fmt.Sprintf("controllers: OpenAPI document: %v", err))
	}
	a.serveFile("/openapi.json", "application/openapi+json", document)
	a.serveFile("/docs", "text/html; charset=utf-8", mustRead(docsPage, "docs/index.html"))
	a.serveFile("/docs/docs.js", "text/javascript; charset=utf-8", mustRead(docsPage, "docs/docs.js"))
	a.serveFile("/docs/swagger-ui.css", "text/css; charset=utf-8", mustRead(static.FS, "swagger-ui.css.gz"))
	a.serveFile("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", mustRead(static.FS, "swagger-ui-bundle.js.gz"))
	a.serveFile("/docs/favicon.png", "image/png", mustRead(static.FS, "favicon-32x32.png"))
}

// serveFile serves a file that may be kept compressed.
func (a *api) serveFile(route, contentType string, data []byte) {
	compressed := bytes.HasPrefix(data, []byte{0x1f, 0x8b})
	handler := func(c *gin.Context) {
		h := c.Writer.Header()
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Type", contentType)
		if strings.HasPrefix(route, "/docs") {
			h.Set("Content-Security-Policy", docsPolicy)
		}
		body := data
		if compressed {
			h.Set("Vary", "Accept-Encoding")
			if quality(c.Request.Header["Accept-Encoding"], "gzip") > 0 {
				h.Set("Content-Encoding", "gzip")
			} else {
				body = decompress(data)
			}
		}
		c.Status(http.StatusOK)
		if _, err := c.Writer.Write(body); err != nil {
			_ = c.Error(fmt.Errorf("serve %s: %w", path.Base(route), err)) // for the log: the client is gone
		}
	}
	a.engine.GET(route, handler)
	a.engine.HEAD(route, handler)
}

func mustRead(files embed.FS, name string) []byte {
	data, err := files.ReadFile(name)
	if err != nil {
		panic(fmt.Sprintf("controllers: embedded file: %v", err))
	}
	return data
}

func decompress(data []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		panic(fmt.Sprintf("controllers: embedded file: %v", err))
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		panic(fmt.Sprintf("controllers: embedded file: %v", err))
	}
	return plain
}
