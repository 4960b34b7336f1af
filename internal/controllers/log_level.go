package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
)

// LogState is how much a process writes to its log.
type LogState struct {
	Node       string     // which process
	Level      string     // debug, info, warn or error
	Configured string     // the level it started with
	Until      *time.Time // when it falls back to that; nil where it does not
}

// LogLevel tells how much this process writes to its log, and changes it.
type LogLevel interface {
	State() LogState
	// Set changes the level for a while, or until it is set again where that is 0.
	Set(ctx context.Context, level string, lasts time.Duration) (LogState, error)
}

func (a *api) registerLogLevel() {
	operation := func(id, method, summary, description string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: prefix + "/admin/log-level", Tags: []string{tagProcess},
			Summary: summary, Description: description, Security: bearer(models.ScopeAdmin),
		}
	}
	register(a, operation("get-log-level", http.MethodGet, "Tell how much the process that answers logs", ""), a.getLogLevel)
	register(a, operation("set-log-level", http.MethodPut, "Change how much the process that answers logs",
		"It starts with its configured level again, and no other process changes: node says which did."), a.setLogLevel)
}

type logLevelOutput struct{ Body logLevelBody }

type logLevelBody struct {
	Node       string     `json:"node" example:"api-1/4711" doc:"The process: its host and process id"`
	Level      string     `json:"level" example:"debug" doc:"The least serious lines that are written: debug, info, warn or error"`
	Configured string     `json:"configured" example:"info" doc:"The level that it started with"`
	Until      *time.Time `json:"until" doc:"When it falls back to that; null where it does not by itself"`
}

func logLevelOf(s LogState) *logLevelOutput {
	return &logLevelOutput{logLevelBody{Node: s.Node, Level: s.Level, Configured: s.Configured, Until: utc(s.Until)}}
}

func (a *api) getLogLevel(context.Context, *struct{}) (*logLevelOutput, error) {
	return logLevelOf(a.LogLevel.State()), nil
}

type setLogLevelInput struct{ Body newLogLevelBody }

type newLogLevelBody struct {
	Level string   `json:"level" minLength:"1" maxLength:"16" example:"debug" doc:"debug, info, warn or error"`
	For   duration `json:"for,omitzero" doc:"How long until it falls back to the configured level, from 1s to 24h; not by itself unless said"`
}

func (a *api) setLogLevel(ctx context.Context, in *setLogLevelInput) (*logLevelOutput, error) {
	state, err := a.LogLevel.Set(ctx, in.Body.Level, time.Duration(in.Body.For))
	if err != nil {
		return nil, err
	}
	return logLevelOf(state), nil
}
