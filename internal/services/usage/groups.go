package usage

import (
	"context"
	"errors"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Bounds of a list of groups.
const (
	DefaultGroups = 100
	MaxGroups     = 1000
)

// GroupQuery asks who or what used the most. Zero fields take the defaults
// named.
type GroupQuery struct {
	Whose
	From, To time.Time // the month of UTC, or the 24 hours by endpoint, until now
	Meter    string    // requests; not by meter
	Endpoint *string
	By       models.UsageGroup
	Limit    int // DefaultGroups
}

// Group is what one member of a group used.
type Group struct {
	models.UsageOf
	// Label is what people call the key or the owner: its name or external id;
	// empty for a key that was erased.
	Label string
}

// Groups are the largest of a group, the largest first.
type Groups struct {
	From, To      time.Time // at starts of buckets
	By            models.UsageGroup
	Meter         string // empty by meter
	Groups        []Group
	CompleteUntil *time.Time
	KeptFrom      *time.Time // see [Series]
}

// Grouped adds up what each owner, key, endpoint or meter used.
func (s *Service) Grouped(ctx context.Context, q GroupQuery) (Groups, error) {
	if q.Meter == "" && q.By != models.GroupMeter {
		q.Meter = models.MeterRequests
	}
	if q.Limit == 0 {
		q.Limit = DefaultGroups
	}
	out := Groups{By: q.By, Meter: q.Meter}
	if err := s.groupRange(&q, &out); err != nil {
		return Groups{}, err
	}
	who, err := s.find(ctx, q.Whose)
	if err != nil {
		return Groups{}, err
	}
	if out.CompleteUntil, err = s.completeUntil(ctx); err != nil {
		return Groups{}, err
	}
	out.KeptFrom = s.keptFrom(out.From)
	end := out.To
	if !end.Before(s.deps.Now()) {
		// Nothing was used after now, so the month under way is as good as a whole one.
		end = models.After(models.PeriodMonth, models.StartOf(models.PeriodMonth, end))
	}
	list, err := s.deps.Usage.Grouped(ctx, models.UsageQuery{
		From: out.From, To: end, KeyID: who.key, OwnerID: who.owner, Meter: q.Meter, Endpoint: q.Endpoint,
	}, q.By, q.Limit)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return Groups{}, apierror.New(apierror.CodeTimeout,
			"So much usage cannot be listed in time: ask for fewer days, or for whole months of UTC, which are added up already").Wrap(err)
	}
	if err != nil {
		return Groups{}, err
	}
	out.Groups, err = s.labeled(ctx, q.By, list)
	return out, err
}

func (s *Service) groupRange(q *GroupQuery, out *Groups) error {
	v := apierror.Validator{Location: apierror.Query}
	var standard span
	most := spans[models.GranularityMonth].most
	switch q.By {
	case models.GroupOwner, models.GroupKey:
	case models.GroupMeter:
		v.Check(q.Meter == "", "meter", "must be absent where meters are listed")
	case models.GroupEndpoint:
		standard, most = span{days: 1}, closeSpan
	default:
		v.Check(false, "group_by", "must be one of: owner, key, endpoint, meter")
	}
	if q.Endpoint != nil {
		standard, most = span{days: 1}, closeSpan
	}
	if most == closeSpan && q.Key == "" && q.Owner == "" {
		most = span{hours: closeSpanOfAll.hours, text: closeSpanOfAll.text + ", as endpoints of all keys are asked for,"}
	}
	v.Checkf(q.Limit >= 1 && q.Limit <= MaxGroups, "limit", "must be from 1 to %d", MaxGroups)
	now := s.deps.Now()
	from, to := q.From, q.To
	if to.IsZero() {
		to = now
	}
	switch {
	case !from.IsZero():
	case standard == span{}:
		from = models.StartOf(models.PeriodMonth, to) // months are added up already
	default:
		from = standard.since(to.UTC())
	}
	checkRange(&v, from.UTC(), to.UTC(), now, most)
	out.From, out.To = models.BucketOf(from), models.BucketFrom(to).UTC()
	return v.Err()
}

// labeled tells what people call the members of a group.
func (s *Service) labeled(ctx context.Context, by models.UsageGroup, list []models.UsageOf) ([]Group, error) {
	labels := map[string]string{}
	switch by {
	case models.GroupOwner:
		owners, err := s.deps.Owners.FindMany(ctx, namesOf[models.OwnerID](list))
		if err != nil {
			return nil, err
		}
		for id, owner := range owners {
			labels[string(id)] = labelOf(&owner)
		}
	case models.GroupKey:
		keys, err := s.deps.Keys.FindMany(ctx, namesOf[models.KeyID](list))
		if err != nil {
			return nil, err
		}
		for id, key := range keys {
			labels[string(id)] = key.Name
		}
	}
	groups := make([]Group, len(list))
	for i := range list {
		groups[i] = Group{list[i], labels[list[i].Name]}
	}
	return groups, nil
}

func labelOf(o *models.Owner) string {
	if o.ExternalID != nil {
		return *o.ExternalID
	}
	return o.Name
}

func namesOf[ID ~string](list []models.UsageOf) []ID {
	ids := make([]ID, len(list))
	for i := range list {
		ids[i] = ID(list[i].Name)
	}
	return ids
}
