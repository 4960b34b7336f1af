package controllers

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func (a *api) registerKeys() {
	register(a, a.createCall(huma.Operation{
		OperationID: "create-key", Method: http.MethodPost, Path: prefix + "/keys", Tags: []string{tagKeys},
		Summary:     "Create a key",
		Description: "The secret is in this answer and nowhere else.",
		Security:    bearer(models.ScopeKeysWrite),
	}), a.createKey)
	register(a, a.createCall(huma.Operation{
		OperationID: "create-keys", Method: http.MethodPost, Path: prefix + "/keys/bulk", Tags: []string{tagKeys},
		Summary:     "Create or import many keys",
		Description: "All of them or none. A key with `import` brings the hash of a secret made elsewhere, and shows none. Keys imported together are one entry of the audit log, which is found by the id of each.",
		Security:    bearer(models.ScopeKeysWrite), MaxBodyBytes: bulkBytes,
	}), a.createKeys)
	register(a, csvToo(huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: prefix + "/keys", Tags: []string{tagKeys},
		Summary: "List keys", Security: bearer(models.ScopeKeysRead),
	}), a.listKeys)
	register(a, huma.Operation{
		OperationID: "get-key", Method: http.MethodGet, Path: prefix + "/keys/{id}", Tags: []string{tagKeys},
		Summary: "Read a key", Security: bearer(models.ScopeKeysRead),
	}, a.getKey)
	register(a, acceptsPatch(huma.Operation{
		OperationID: "update-key", Method: http.MethodPatch, Path: prefix + "/keys/{id}", Tags: []string{tagKeys},
		Summary: "Change a key", Security: bearer(models.ScopeKeysWrite),
	}), a.updateKey)
	register(a, huma.Operation{
		OperationID: "erase-key", Method: http.MethodDelete, Path: prefix + "/keys/{id}", Tags: []string{tagKeys},
		Summary:     "Erase a key for ever",
		Description: "Revoke it instead to keep it visible.",
		Security:    bearer(models.ScopeKeysWrite),
	}, a.eraseKey)
}

type KeyPath struct {
	ID string `path:"id" maxLength:"64" doc:"The key's id"`
}

func (in KeyPath) id() (models.KeyID, error) {
	id, err := models.ParseID[models.KeyID](in.ID)
	if err != nil {
		return "", apierror.NotFound("key").Wrap(err)
	}
	return id, nil
}

type createKeyInput struct {
	IdempotencyHeader
	Body newKeyBody
}

func (a *api) createKey(ctx context.Context, in *createKeyInput) (*versioned[createdKeyBody], error) {
	n, err := in.Body.newKey()
	if err != nil {
		return nil, err
	}
	created, err := a.Keys.Create(ctx, n)
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusCreated, created.Key.Version, createdKeyOf(&created, a.Now()))
}

type createKeysInput struct {
	IdempotencyHeader
	Prefer string `header:"Prefer" maxLength:"255" doc:"return=minimal leaves keys that were imported out of the answer"`
	Body   newKeysBody
}

type newKeysBody struct {
	Keys []newKeyBody `json:"keys" minItems:"1" maxItems:"1000"`
}

type createKeysOutput struct {
	PreferenceApplied string `header:"Preference-Applied" doc:"return=minimal where that was asked for"`
	Body              createdKeysBody
}

// minimal is the preference (RFC 7240) for an answer without what the caller knows.
const minimal = "return=minimal"

type createdKeysBody struct {
	Data []createdKeyBody `json:"data" doc:"The keys, in the order they were given in"`
}

func (a *api) createKeys(ctx context.Context, in *createKeysInput) (*createKeysOutput, error) {
	news := make([]keys.NewKey, len(in.Body.Keys))
	for i := range in.Body.Keys {
		n, err := in.Body.Keys[i].newKey()
		if err != nil {
			return nil, within(err, "keys", i)
		}
		news[i] = n
	}
	created, err := a.Keys.CreateMany(ctx, news)
	if err != nil {
		return nil, err
	}
	out, now := &createKeysOutput{}, a.Now()
	if slices.ContainsFunc(strings.Split(in.Prefer, ","), func(p string) bool { return strings.TrimSpace(p) == minimal }) {
		out.PreferenceApplied = minimal
	}
	for i := range created {
		if news[i].Import != nil && out.PreferenceApplied != "" {
			continue
		}
		out.Body.Data = append(out.Body.Data, createdKeyOf(&created[i], now))
	}
	return out, nil
}

type listKeysInput struct {
	PageQuery
	Sort        string `query:"sort" enum:"created_at,-created_at,updated_at,-updated_at,name,-name" default:"-created_at" doc:"The field to sort by, descending with a minus sign"`
	Keyspace    string `query:"keyspace" maxLength:"255" doc:"Only keys of this keyspace, by id or name"`
	Owner       string `query:"owner" maxLength:"255" doc:"Only keys of this owner, by id or external id"`
	Environment string `query:"environment" enum:"live,test" doc:"Only keys of this environment"`
	Status      string `query:"status" enum:"active,suspended,expired,revoked" doc:"Only keys of this status"`
	Name        string `query:"name" maxLength:"255" doc:"Only keys whose name begins so"`
	Tag         string `query:"tag" maxLength:"64" doc:"Only keys with this tag"`
}

func (a *api) listKeys(ctx context.Context, in *listKeysInput) (*listOutput[KeyBody], error) {
	views, err := a.Keys.List(ctx, keys.Filter{
		Keyspace: in.Keyspace, Owner: in.Owner, Environment: in.Environment,
		Status: models.KeyStatus(in.Status), Name: in.Name, Tag: in.Tag,
	}, in.page(in.Sort))
	if err != nil {
		return nil, err
	}
	now := a.Now()
	return answerList(&in.PageQuery, views, func(v *keys.View) KeyBody { return keyOf(v, now) },
		func(v *keys.View) models.Position {
			return models.Position{Value: sorted(in.Sort, v.Key.CreatedAt, v.Key.UpdatedAt, v.Key.Name), ID: string(v.Key.ID)}
		}), nil
}

type getKeyInput struct {
	KeyPath
	NoneMatchHeader
}

func (a *api) getKey(ctx context.Context, in *getKeyInput) (*versioned[KeyBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	view, err := a.Keys.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	return answerUnless(in.NoneMatchHeader, view.Key.Version, keyOf(&view, a.Now()))
}

type updateKeyInput struct {
	KeyPath
	MatchHeader
	Body keyPatchBody
}

func (a *api) updateKey(ctx context.Context, in *updateKeyInput) (*versioned[KeyBody], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	view, err := patch(in.MatchHeader,
		func() (keys.View, error) { return a.Keys.Find(ctx, id) },
		func(v *keys.View) int64 { return v.Key.Version },
		func(current *keys.View, version int64) (keys.View, error) {
			p, err := in.Body.patch(current.Key.Metadata)
			if err != nil {
				return keys.View{}, err
			}
			return a.Keys.Update(ctx, id, version, p)
		})
	return a.keyAnswer(view, err)
}

func (a *api) eraseKey(ctx context.Context, in *KeyPath) (*struct{}, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return nil, a.Keys.Erase(ctx, id)
}

func (a *api) keyAnswer(view keys.View, err error) (*versioned[KeyBody], error) {
	if err != nil {
		return nil, err
	}
	return newVersioned(http.StatusOK, view.Key.Version, keyOf(&view, a.Now()))
}

// within says that the bad fields of an error are those of an element.
func within(err error, name string, i int) error {
	e, ok := apierror.As(err)
	if !ok {
		return err
	}
	moved, v := *e, apierror.Validator{}
	for _, f := range e.Fields {
		v.In(name, i).Check(false, f.Name, f.Detail)
	}
	moved.Fields = fieldsOf(v.Err())
	return &moved
}
