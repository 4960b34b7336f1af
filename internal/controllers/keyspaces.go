package controllers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/keys"
)

func (a *api) registerKeyspaces() {
	register(a, a.createCall(huma.Operation{
		OperationID: "create-keyspace", Method: http.MethodPost, Path: prefix + "/keyspaces", Tags: []string{tagKeyspaces},
		Summary: "Create a keyspace", Security: bearer(models.ScopeKeysWrite),
	}), a.createKeyspace)
	register(a, csvToo(huma.Operation{
		OperationID: "list-keyspaces", Method: http.MethodGet, Path: prefix + "/keyspaces", Tags: []string{tagKeyspaces},
		Summary: "List keyspaces", Security: bearer(models.ScopeKeysRead),
	}), a.listKeyspaces)
	register(a, huma.Operation{
		OperationID: "get-keyspace", Method: http.MethodGet, Path: prefix + "/keyspaces/{id}", Tags: []string{tagKeyspaces},
		Summary: "Read a keyspace", Security: bearer(models.ScopeKeysRead),
	}, a.getKeyspace)
	register(a, acceptsPatch(huma.Operation{
		OperationID: "update-keyspace", Method: http.MethodPatch, Path: prefix + "/keyspaces/{id}", Tags: []string{tagKeyspaces},
		Summary: "Change a keyspace", Security: bearer(models.ScopeKeysWrite),
	}), a.updateKeyspace)
	register(a, huma.Operation{
		OperationID: "delete-keyspace", Method: http.MethodDelete, Path: prefix + "/keyspaces/{id}", Tags: []string{tagKeyspaces},
		Summary: "Delete a keyspace that has no keys", Security: bearer(models.ScopeKeysWrite),
	}, a.deleteKeyspace)
}

type newKeyspaceBody struct {
	Name        string            `json:"name" minLength:"1" maxLength:"64" example:"payments" doc:"Unique; of a-z, A-Z, 0-9, '.', '_' and '-'"`
	Prefix      string            `json:"prefix,omitzero" maxLength:"16" example:"pay" doc:"Begins every secret made in the keyspace, and never changes; words of a-z and 0-9 joined by _"`
	Description string            `json:"description,omitzero" maxLength:"1000"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"At most 50 members of at most 512 characters, for yourself"`
}

type keyspacePatchBody struct {
	Name        *string          `json:"name,omitempty" minLength:"1" maxLength:"64"`
	Description nullable[string] `json:"description,omitzero" maxLength:"1000"`
	Metadata    metadataPatch    `json:"metadata,omitzero" doc:"Members that are null are taken away, others are set"`
}

type keyspaceBody struct {
	ID          string            `json:"id" doc:"UUIDv7"`
	Name        string            `json:"name"`
	Prefix      string            `json:"prefix"`
	Description string            `json:"description"`
	Imported    bool              `json:"imported" doc:"Whether it takes secrets that were made elsewhere"`
	Metadata    map[string]string `json:"metadata"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
}

func keyspaceOf(k *models.Keyspace) keyspaceBody {
	return keyspaceBody{
		ID: string(k.ID), Name: k.Name, Prefix: k.Prefix, Description: k.Description, Imported: k.Imported,
		Metadata: k.Metadata, CreatedAt: k.CreatedAt.UTC(), UpdatedAt: k.UpdatedAt.UTC(),
	}
}

type createKeyspaceInput struct {
	IdempotencyHeader
	Body newKeyspaceBody
}

func (a *api) createKeyspace(ctx context.Context, in *createKeyspaceInput) (*versioned[keyspaceBody], error) {
	keyspace, err := a.Keys.CreateKeyspace(ctx, keys.NewKeyspace{
		Name: in.Body.Name, Prefix: in.Body.Prefix, Description: in.Body.Description, Metadata: in.Body.Metadata,
	})
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusCreated, keyspace.Version, keyspaceOf(keyspace))
}

type listKeyspacesInput struct {
	PageQuery
	Sort string `query:"sort" enum:"created_at,-created_at,name,-name" default:"-created_at" doc:"The field to sort by, descending with a minus sign"`
}

func (a *api) listKeyspaces(ctx context.Context, in *listKeyspacesInput) (*listOutput[keyspaceBody], error) {
	keyspaces, err := a.Keys.ListKeyspaces(ctx, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	return answerList(&in.PageQuery, keyspaces, keyspaceOf, func(k *models.Keyspace) models.Position {
		return models.Position{Value: sorted(in.Sort, k.CreatedAt, k.UpdatedAt, k.Name), ID: string(k.ID)}
	}), nil
}

// KeyspacePath names a keyspace in a path.
type KeyspacePath struct {
	ID string `path:"id" maxLength:"255" doc:"Id or name of the keyspace"`
}

type getKeyspaceInput struct {
	KeyspacePath
	NoneMatchHeader
}

func (a *api) getKeyspace(ctx context.Context, in *getKeyspaceInput) (*versioned[keyspaceBody], error) {
	keyspace, err := a.Keys.FindKeyspace(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answerUnless(in.NoneMatchHeader, keyspace.Version, keyspaceOf(keyspace))
}

type updateKeyspaceInput struct {
	KeyspacePath
	MatchHeader
	Body keyspacePatchBody
}

func (a *api) updateKeyspace(ctx context.Context, in *updateKeyspaceInput) (*versioned[keyspaceBody], error) {
	keyspace, err := patch(in.MatchHeader,
		func() (*models.Keyspace, error) { return a.Keys.FindKeyspace(ctx, in.ID) },
		func(k **models.Keyspace) int64 { return (*k).Version },
		func(current **models.Keyspace, version int64) (*models.Keyspace, error) {
			return a.Keys.UpdateKeyspace(ctx, in.ID, version, keys.KeyspacePatch{
				Name: in.Body.Name, Description: in.Body.Description.cleared(),
				Metadata: in.Body.Metadata.merge((*current).Metadata),
			})
		})
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusOK, keyspace.Version, keyspaceOf(keyspace))
}

func (a *api) deleteKeyspace(ctx context.Context, in *KeyspacePath) (*struct{}, error) {
	return nil, a.Keys.DeleteKeyspace(ctx, in.ID)
}
