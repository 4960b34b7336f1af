package cache

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// A tag is what is known of a subject: its highest version, or for an anchor
// the count of its invalidations.
type tag struct {
	subject models.Subject
	version atomic.Int64
	refs    int // guarded by tags.mu
}

// A link is a subject and the version of it that something was made from.
type link struct {
	tag     *tag
	version int64
}

// A basis is all that an entry was made from.
type basis []link

// current tells whether none of it is known to have changed. It takes no lock.
func (b basis) current() bool {
	for i := range b {
		if b[i].tag.version.Load() > b[i].version {
			return false
		}
	}
	return true
}

// tags holds the tags that entries refer to, and those raised of late: a read
// under way may have seen an older row, and must find the tag when it ends.
type tags struct {
	keep time.Duration // how long a raised tag waits for such reads

	// rounds counts the tags raised, each after it was: an entry that was
	// current in this round needs no look at its tags, which memory is slow to
	// bring.
	rounds atomic.Int64

	mu        sync.Mutex
	bySubject map[models.Subject]*tag
	raised    []raising // oldest first; each holds a reference
}

type raising struct {
	tag *tag
	at  time.Duration
}

func newTags(keep time.Duration) *tags {
	return &tags{keep: keep, bySubject: make(map[models.Subject]*tag)}
}

// secretKind begins the subjects that models.HashSubject makes.
const secretKind = "secret:"

// anchored tells whether a subject is known before what is cached under it is
// read. Its invalidations are counted, their versions ignored, and nothing
// needs to be kept of those that no entry and no read is waiting for.
func anchored(subject models.Subject) bool {
	return subject == models.DirectorySubject || strings.HasPrefix(string(subject), secretKind)
}

// raise makes everything stale that was made from an older version. Raising to
// a version known already changes nothing, except for anchors.
func (t *tags) raise(at time.Duration, subject models.Subject, version int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.prune(at)
	if anchored(subject) {
		if tag := t.bySubject[subject]; tag != nil {
			tag.version.Add(1)
			t.rounds.Add(1)
		}
		return
	}
	if tag := t.bySubject[subject]; tag != nil && tag.version.Load() >= version {
		return
	}
	tag := t.take(subject)
	tag.version.Store(version)
	t.rounds.Add(1)
	t.raised = append(t.raised, raising{tag, at})
}

// anchor holds the tag of a read's anchor as it is when the read begins.
func (t *tags) anchor(subject models.Subject) link {
	t.mu.Lock()
	defer t.mu.Unlock()
	tag := t.take(subject)
	return link{tag, tag.version.Load()}
}

// share makes the basis of an entry that hangs on the anchor alone.
func (t *tags) share(anchor link) basis {
	t.mu.Lock()
	defer t.mu.Unlock()
	anchor.tag.refs++
	return basis{anchor}
}

// bind makes the basis of an entry that was made from rows.
func (t *tags) bind(made []models.Dependency) basis {
	b := make(basis, len(made))
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, d := range made {
		b[i] = link{t.take(d.Subject), d.Version}
	}
	return b
}

func (t *tags) release(links ...link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range links {
		t.drop(l.tag)
	}
}

func (t *tags) take(subject models.Subject) *tag {
	found := t.bySubject[subject]
	if found == nil {
		found = &tag{subject: subject}
		t.bySubject[subject] = found
	}
	found.refs++
	return found
}

func (t *tags) drop(tag *tag) {
	if tag.refs--; tag.refs == 0 {
		delete(t.bySubject, tag.subject)
	}
}

func (t *tags) prune(at time.Duration) {
	for len(t.raised) > 0 && at-t.raised[0].at >= t.keep {
		t.drop(t.raised[0].tag)
		t.raised[0] = raising{}
		t.raised = t.raised[1:]
	}
}
