package notify

import (
	"slices"
	"sync"
)

// maxReached bounds the messages remembered.
const maxReached = 1000

// reached remembers whom a mail with several receivers came to, while one of
// them is to be tried again, so that the others do not get it at every attempt.
// It is memory of one process: after a restart somebody may get a mail twice,
// with the Message-ID of the first. The zero value is ready.
type reached struct {
	mu    sync.Mutex
	by    map[string][]string
	order []string // of message ids, oldest first
}

// without is the addresses that the message did not come to yet.
func (r *reached) without(id string, to []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	have := r.by[id]
	return slices.DeleteFunc(slices.Clone(to), func(a string) bool { return slices.Contains(have, a) })
}

func (r *reached) add(id string, to []string) {
	if len(to) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string][]string{}
	}
	if _, known := r.by[id]; !known {
		if len(r.order) == maxReached {
			delete(r.by, r.order[0])
			r.order = r.order[1:]
		}
		r.order = append(r.order, id)
	}
	r.by[id] = append(r.by[id], to...)
}

func (r *reached) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.by[id]; known {
		delete(r.by, id)
		r.order = slices.DeleteFunc(r.order, func(other string) bool { return other == id })
	}
}
