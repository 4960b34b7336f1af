package controllers

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
)

// CheckRoutes are the routes of checks: whoever serves calls asks one for each.
var CheckRoutes = []string{
	prefix + "/validate", prefix + "/validate/batch", prefix + "/authorize", prefix + "/authorize/*path", prefix + "/limits/check",
}

// registerChecks declares the checks. Plain requests take a path beside Huma:
// see checks_fast.go.
func (a *api) registerChecks() {
	fast := fastChecks{api: a}
	register(a, huma.Operation{
		OperationID: "validate", Method: http.MethodPost, Path: prefix + "/validate", Tags: []string{tagChecks},
		Summary:     "Check whether the holder of a key may make a call",
		Description: "A refusal is an answer: 200 with `allowed: false` and a `code`. Errors are for checks that could not be decided.",
		Security:    bearer(models.ScopeChecksWrite), Metadata: map[string]any{fastPath: fast.validate},
	}, a.validate)
	register(a, huma.Operation{
		OperationID: "validate-batch", Method: http.MethodPost, Path: prefix + "/validate/batch", Tags: []string{tagChecks},
		Summary: "Check many calls at once",
		Description: "Each is decided on its own. One that could not be decided carries its problem, and is not allowed; " +
			"where a check breaks the schema, nothing is decided.",
		Security: bearer(models.ScopeChecksWrite), MaxBodyBytes: bulkBytes, Metadata: map[string]any{fastPath: fast.validateBatch},
	}, a.validateBatch)
	register(a, huma.Operation{
		OperationID: "check-limit", Method: http.MethodPost, Path: prefix + "/limits/check", Tags: []string{tagChecks},
		Summary:     "Check limits on anything, without a key",
		Description: "The limits come with the check, and count what the namespace and the identifier name.",
		Security:    bearer(models.ScopeChecksWrite),
	}, a.checkLimit)
}

type answerOutput struct{ Body answerBody }

type validateInput struct{ Body checkBody }

func (a *api) validate(ctx context.Context, in *validateInput) (*answerOutput, error) {
	check, err := in.Body.check(models.ActorFrom(ctx).RequestID)
	if err != nil {
		return nil, err
	}
	answer, err := a.Validation.Validate(ctx, &check)
	if err != nil {
		return nil, err
	}
	return &answerOutput{answerOf(&answer)}, nil
}

type validateBatchInput struct{ Body batchBody }

type validateBatchOutput struct{ Body batchAnswerBody }

func (a *api) validateBatch(ctx context.Context, in *validateBatchInput) (*validateBatchOutput, error) {
	checks := make([]validation.Check, len(in.Body.Checks))
	for i := range in.Body.Checks {
		check, err := in.Body.Checks[i].check(batchRequestID(ctx, i))
		if err != nil {
			return nil, within(err, "checks", i)
		}
		checks[i] = check
	}
	out := &validateBatchOutput{Body: batchAnswerBody{Results: make([]answerBody, len(checks))}}
	err := a.Validation.ValidateMany(ctx, checks, func(i int, answer *validation.Answer, err error) {
		if err != nil {
			out.Body.Results[i] = undecided(err, checks[i].RequestID)
			return
		}
		out.Body.Results[i] = answerOf(answer)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// batchRequestID names one check of a batch.
func batchRequestID(ctx context.Context, i int) string {
	return models.ActorFrom(ctx).RequestID + "-" + strconv.Itoa(i)
}

type checkLimitInput struct{ Body limitCheckBody }

func (a *api) checkLimit(ctx context.Context, in *checkLimitInput) (*answerOutput, error) {
	rules, err := rulesOf(in.Body.Rules)
	if err != nil {
		return nil, err
	}
	check := validation.LimitCheck{
		RequestID: models.ActorFrom(ctx).RequestID, Namespace: in.Body.Namespace, Identifier: in.Body.Identifier,
		CheckID: in.Body.CheckID, Cost: 1, Rules: rules,
	}
	if in.Body.Cost != nil {
		check.Cost = *in.Body.Cost
	}
	answer, err := a.Validation.CheckLimit(ctx, &check)
	if err != nil {
		return nil, err
	}
	return &answerOutput{answerOf(&answer)}, nil
}
