package controllers

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Probe asks a dependency whether it can do its part. An error that wraps
// [ErrDegraded] says that it cannot, and that checks go on without it.
type Probe struct {
	Name  string
	Check func(ctx context.Context) error
}

// ErrDegraded marks the loss of a dependency that can be done without for a
// while: traffic may still come here, as no other node would do better.
var ErrDegraded = errors.New("checks go on without it")

// probeTimeout is how long a dependency has to answer.
const probeTimeout = time.Second

const (
	statusOK          = "ok"
	statusDegraded    = "degraded"
	statusUnavailable = "unavailable"
)

func (a *api) registerHealth() {
	operation := func(id, path, summary, description string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodGet, Path: path, Tags: []string{tagHealth},
			Summary: summary, Description: description, Security: public,
		}
	}
	register(a, operation("get-health", "/health", "Tell whether the service is up",
		"503 where a dependency is down that cannot be done without."), a.health)
	register(a, operation("get-liveness", "/health/live", "Tell whether the process answers",
		"For a supervisor: it asks no dependency."), a.live)
	register(a, operation("get-readiness", "/health/ready", "Tell how each dependency is",
		"For a load balancer: 503 where one is down that cannot be done without."), a.ready)
}

type healthOutput struct {
	Status int
	Body   healthBody
}

type healthBody struct {
	Status  string `json:"status" enum:"ok,degraded,unavailable"`
	Version string `json:"version" doc:"Version of the program"`
}

func (a *api) health(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	status, word := overall(a.probe(ctx))
	return &healthOutput{Status: status, Body: healthBody{Status: word, Version: a.Version}}, nil
}

func (a *api) live(context.Context, *struct{}) (*healthOutput, error) {
	return &healthOutput{Status: http.StatusOK, Body: healthBody{Status: statusOK, Version: a.Version}}, nil
}

type readinessOutput struct {
	Status int
	Body   readinessBody
}

type readinessBody struct {
	Status       string           `json:"status" enum:"ok,degraded,unavailable"`
	Dependencies []dependencyBody `json:"dependencies"`
}

type dependencyBody struct {
	Name      string `json:"name" example:"database"`
	Status    string `json:"status" enum:"ok,degraded,unavailable"`
	LatencyMS int64  `json:"latency_ms" doc:"How long it took to find out"`
}

func (a *api) ready(ctx context.Context, _ *struct{}) (*readinessOutput, error) {
	dependencies := a.probe(ctx)
	status, word := overall(dependencies)
	return &readinessOutput{Status: status, Body: readinessBody{Status: word, Dependencies: dependencies}}, nil
}

func overall(dependencies []dependencyBody) (status int, word string) {
	word = statusOK
	for _, d := range dependencies {
		switch d.Status {
		case statusUnavailable:
			return http.StatusServiceUnavailable, statusUnavailable
		case statusDegraded:
			word = statusDegraded
		}
	}
	return http.StatusOK, word
}

// probe asks all dependencies at once. Why one is down is for its own log:
// anyone may ask here.
func (a *api) probe(ctx context.Context) []dependencyBody {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	dependencies := make([]dependencyBody, len(a.Probes))
	var asked sync.WaitGroup
	for i, p := range a.Probes {
		asked.Go(func() {
			start := a.Now()
			word := statusOK
			if err := p.Check(ctx); errors.Is(err, ErrDegraded) {
				word = statusDegraded
			} else if err != nil {
				word = statusUnavailable
			}
			dependencies[i] = dependencyBody{Name: p.Name, Status: word, LatencyMS: a.Now().Sub(start).Milliseconds()}
		})
	}
	asked.Wait()
	return dependencies
}
