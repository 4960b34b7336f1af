package cache

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
)

func TestAnchors(t *testing.T) {
	for subject, want := range map[models.Subject]bool{
		models.HashSubject(key):        true,
		models.DirectorySubject:        true,
		models.Subject("keyspace:all"): false,
		models.Subject("key:secret:"):  false,
	} {
		require.Equal(t, want, anchored(subject), subject)
	}
}

func dependency(subject models.Subject, version int64) []models.Dependency {
	return []models.Dependency{{Subject: subject, Version: version}}
}

func TestRaisedTagWaitsForReadsUnderWay(t *testing.T) {
	tags := newTags(time.Minute)
	tags.raise(0, "key:a", 2)
	tags.raise(time.Minute-1, "key:b", 1)
	require.False(t, tags.bind(dependency("key:a", 1)).current())
	require.True(t, tags.bind(dependency("key:a", 2)).current())
}

func TestForgottenTagsLeaveNothingBehind(t *testing.T) {
	tags := newTags(time.Minute)
	bound := tags.bind(dependency("key:held", 1))
	for i := range 1000 {
		tags.raise(0, models.SubjectOf("key", models.KeyID(rune('a'+i))), 1)
		tags.raise(0, "key:busy", int64(i))
	}
	require.Len(t, tags.bySubject, 1002)
	tags.raise(time.Minute, "key:last", 1)
	require.Len(t, tags.bySubject, 2)
	require.Len(t, tags.raised, 1)
	tags.raise(time.Minute, "key:held", 2)
	require.False(t, bound.current())
	tags.release(bound...)
	tags.raise(2*time.Minute, "key:last", 2)
	require.Len(t, tags.bySubject, 1)
}

func TestAnchorThatNobodyWaitsForIsNotKept(t *testing.T) {
	tags := newTags(time.Minute)
	tags.raise(0, models.HashSubject(key), 1)
	require.Empty(t, tags.bySubject)

	before := tags.anchor(models.HashSubject(key))
	tags.raise(0, models.HashSubject(key), 1)
	tags.raise(0, models.HashSubject(key), 1)
	after := tags.anchor(models.HashSubject(key))
	require.False(t, tags.share(before).current())
	require.True(t, tags.share(after).current())
}

// A basis is current exactly while no subject of it was raised above it.
func TestBasisFollowsItsTags(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tags := newTags(time.Minute)
		highest := make(map[models.Subject]int64)
		type bound struct {
			made  []models.Dependency
			entry *entry[int]
		}
		var held []bound
		subject := rapid.SampledFrom([]models.Subject{"key:a", "key:b", "owner:c", "plan:d"})
		version := rapid.Int64Range(1, 6)
		t.Repeat(map[string]func(*rapid.T){
			"raise": func(t *rapid.T) {
				s, v := subject.Draw(t, "subject"), version.Draw(t, "version")
				tags.raise(0, s, v)
				highest[s] = max(highest[s], v)
			},
			"bind": func(t *rapid.T) {
				made := append(dependency(subject.Draw(t, "one"), version.Draw(t, "of")),
					models.Dependency{Subject: subject.Draw(t, "other"), Version: version.Draw(t, "and")})
				e := &entry[int]{tags: tags, basis: tags.bind(made)}
				e.round.Store(-1)
				held = append(held, bound{made, e})
			},
			"release": func(t *rapid.T) {
				if len(held) > 0 {
					tags.release(held[0].entry.basis...)
					held = held[1:]
				}
			},
			"": func(t *rapid.T) {
				for _, b := range held {
					want := true
					for _, d := range b.made {
						want = want && highest[d.Subject] <= d.Version
					}
					require.Equal(t, want, b.entry.current())
				}
			},
		})
	})
}
