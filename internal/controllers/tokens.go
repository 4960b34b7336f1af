package controllers

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/access"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// TokenSource gives the access token that let a request in.
type TokenSource func(ctx context.Context) (*models.AccessToken, bool)

func (a *api) registerAccess() {
	register(a, huma.Operation{
		OperationID: "whoami", Method: http.MethodGet, Path: prefix + "/whoami", Tags: []string{tagAccess},
		Summary: "Tell what the presented token may do", Security: anyToken,
	}, a.whoami)
	register(a, a.createCall(huma.Operation{
		OperationID: "create-token", Method: http.MethodPost, Path: prefix + "/admin/tokens", Tags: []string{tagAccess},
		Summary:     "Create an access token",
		Description: "The secret is in this answer and nowhere else.",
		Security:    bearer(models.ScopeAdmin),
	}), a.createToken)
	register(a, csvToo(huma.Operation{
		OperationID: "list-tokens", Method: http.MethodGet, Path: prefix + "/admin/tokens", Tags: []string{tagAccess},
		Summary: "List access tokens, revoked ones among them", Security: bearer(models.ScopeAdmin),
	}), a.listTokens)
	register(a, huma.Operation{
		OperationID: "revoke-token", Method: http.MethodDelete, Path: prefix + "/admin/tokens/{id}", Tags: []string{tagAccess},
		Summary: "Refuse an access token for ever", Security: bearer(models.ScopeAdmin), DefaultStatus: http.StatusOK,
	}, a.revokeToken)
}

// TokenBody is an access token in an answer.
type TokenBody struct {
	ID        string              `json:"id" doc:"UUIDv7"`
	Name      string              `json:"name"`
	Mask      string              `json:"mask" example:"vivat_…wXyZ" doc:"Shows which token it is, and opens nothing"`
	Scopes    []models.TokenScope `json:"scopes"`
	ExpiresAt *time.Time          `json:"expires_at" doc:"null never expires"`
	RevokedAt *time.Time          `json:"revoked_at"`
	CreatedAt time.Time           `json:"created_at"`
}

func tokenOf(t *models.AccessToken) TokenBody {
	return TokenBody{
		ID: string(t.ID), Name: t.Name, Mask: t.Mask, Scopes: t.Scopes,
		ExpiresAt: utc(t.ExpiresAt), RevokedAt: utc(t.RevokedAt), CreatedAt: t.CreatedAt.UTC(),
	}
}

type tokenOutput struct{ Body TokenBody }

func (a *api) whoami(ctx context.Context, _ *struct{}) (*tokenOutput, error) {
	token, ok := a.Token(ctx)
	if !ok {
		return nil, errors.New("whoami: the guard let no token in")
	}
	return &tokenOutput{tokenOf(token)}, nil
}

type createTokenInput struct {
	IdempotencyHeader
	Body newTokenBody
}

type newTokenBody struct {
	Name      string              `json:"name" minLength:"1" maxLength:"255" example:"ci" doc:"For people"`
	Scopes    []models.TokenScope `json:"scopes,omitempty" maxItems:"32" enum:"admin,keys:read,keys:write,keys:*,plans:read,plans:write,plans:*,checks:write,usage:read,usage:write,usage:*,alerts:read,alerts:write,alerts:*" doc:"What the bearer may do; absent where role is given"`
	Role      string              `json:"role,omitzero" enum:"viewer,operator,admin" doc:"A set of scopes; absent where scopes are given"`
	ExpiresAt *time.Time          `json:"expires_at,omitempty" doc:"When the token stops working; never unless said"`
}

type createdTokenBody struct {
	TokenBody
	Token string `json:"token" doc:"The secret, this once"`
}

type createTokenOutput struct{ Body createdTokenBody }

func (a *api) createToken(ctx context.Context, in *createTokenInput) (*createTokenOutput, error) {
	token, secret, err := a.Access.Create(ctx, access.NewToken{
		Name: in.Body.Name, Scopes: in.Body.Scopes, Role: in.Body.Role, ExpiresAt: utc(in.Body.ExpiresAt),
	})
	if err != nil {
		return nil, err
	}
	return &createTokenOutput{createdTokenBody{TokenBody: tokenOf(token), Token: secret.Reveal()}}, nil
}

type listTokensInput struct {
	PageQuery
	Sort string `query:"sort" enum:"created_at,-created_at,name,-name" default:"-created_at" doc:"The field to sort by, descending with a minus sign"`
}

func (a *api) listTokens(ctx context.Context, in *listTokensInput) (*listOutput[TokenBody], error) {
	tokens, err := a.Access.List(ctx, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, tokens, tokenOf, func(t *models.AccessToken) models.Position {
		return models.Position{Value: sorted(in.Sort, t.CreatedAt, t.UpdatedAt, t.Name), ID: string(t.ID)}
	}), nil
}

type revokeTokenInput struct {
	ID string `path:"id" maxLength:"64" doc:"The token's id"`
}

func (a *api) revokeToken(ctx context.Context, in *revokeTokenInput) (*tokenOutput, error) {
	id, err := models.ParseID[models.TokenID](in.ID)
	if err != nil {
		return nil, apierror.NotFound("token").Wrap(err)
	}
	token, err := a.Access.Revoke(ctx, id)
	if err != nil {
		return nil, err
	}
	return &tokenOutput{tokenOf(token)}, nil
}
