package keys

import (
	"context"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Filter narrows a list; zero fields match all.
type Filter struct {
	Keyspace    string // id or name
	Owner       string // id or external id
	Environment string
	Status      models.KeyStatus
	Name        string // prefix
	Tag         string
}

// List gives a page of the keys that match.
func (s *Service) List(ctx context.Context, f Filter, page models.Page) ([]View, error) {
	filter := models.KeyFilter{Environment: f.Environment, Status: f.Status, Name: f.Name, Tag: f.Tag}
	if f.Keyspace != "" {
		keyspace, err := s.Keyspaces.Find(ctx, f.Keyspace)
		if err != nil {
			return nil, models.MissingRef(err, apierror.Query, "keyspace", "keyspace")
		}
		filter.KeyspaceID = keyspace.ID
	}
	if f.Owner != "" {
		owner, err := s.Owners.Find(ctx, f.Owner)
		if err != nil {
			return nil, models.MissingRef(err, apierror.Query, "owner", "owner")
		}
		filter.OwnerID = owner.ID
	}
	list, err := s.Lists.List(ctx, filter, page, s.Now())
	if err != nil {
		return nil, err
	}
	return s.views(ctx, list)
}
