package controllers

import (
	"context"
	"io"

	"github.com/danielgtaylor/huma/v2"
)

// recorder lets a handler run in a transaction and write its answer to be kept
// before anything leaves.
type recorder struct {
	*request
	ctx    context.Context
	answer *storedAnswer
}

// Unwrap leads to the adapter's own context.
func (r *recorder) Unwrap() huma.Context { return r.request }

func (r *recorder) Context() context.Context        { return r.ctx }
func (r *recorder) SetStatus(code int)              { r.answer.Status = code }
func (r *recorder) Status() int                     { return r.answer.Status }
func (r *recorder) SetHeader(name, value string)    { r.answer.header().Set(name, value) }
func (r *recorder) AppendHeader(name, value string) { r.answer.header().Add(name, value) }
func (r *recorder) BodyWriter() io.Writer           { return r.answer }
