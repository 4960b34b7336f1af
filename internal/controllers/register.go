package controllers

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// bulkBytes caps the bodies of operations that take many things at once.
const bulkBytes = 16 << 20

// register declares an operation and serves it.
func register[I, O any](a *api, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	// The gate checks; Huma binds.
	op.SkipValidateParams, op.SkipValidateBody = true, true
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = a.MaxBodyBytes
	}
	op.Errors = problemStatuses(&op)
	huma.Register(a.huma, op, handler)
	if op.RequestBody != nil {
		for _, media := range op.RequestBody.Content {
			// They differ in name alone.
			media.Schema = op.RequestBody.Content[mediaJSON].Schema
		}
	}
}

// problemStatuses documents the statuses of an operation's problems.
func problemStatuses(op *huma.Operation) []int {
	statuses := []int{http.StatusBadRequest, http.StatusNotAcceptable, http.StatusServiceUnavailable}
	if len(op.Security) > 0 {
		statuses = append(statuses, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests)
	}
	switch op.Method {
	case http.MethodPost, http.MethodPatch:
		statuses = append(statuses, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	case http.MethodDelete:
		statuses = append(statuses, http.StatusConflict)
	}
	if op.Method == http.MethodPatch {
		statuses = append(statuses, http.StatusPreconditionFailed, http.StatusPreconditionRequired)
	}
	if strings.Contains(op.Path, "{") {
		statuses = append(statuses, http.StatusNotFound)
	}
	return statuses
}
