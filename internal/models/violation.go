package models

import "time"

// ViolationSeverity says how grave the refusals of a minute are.
type ViolationSeverity string

// The severities of violations, from the least.
const (
	ViolationLow      ViolationSeverity = "low"
	ViolationMedium   ViolationSeverity = "medium"
	ViolationHigh     ViolationSeverity = "high"
	ViolationCritical ViolationSeverity = "critical"
)

// RepeatsWithin is how far back the repeats of a violation are counted.
const RepeatsWithin = 24 * time.Hour

// SeverityOfViolation follows from how many refusals a minute had, how many
// that is beside the limit, and in how many minutes of the day before the rule
// refused the key as well. Each of the three gives up to two points:
//
//	points        0        1            2
//	refusals      < 100    from 100     from 10,000
//	÷ limit       < 1      from 1       from 10
//	repeats       < 5      from 5       from 60
//
// Of them, 0 and 1 are low, 2 and 3 medium, 4 is high, and 5 and 6 are critical.
func SeverityOfViolation(denials, limit int64, repeats int) ViolationSeverity {
	points := grade(denials, 100, 10_000) + grade(denials/max(limit, 1), 1, 10) + grade(int64(repeats), 5, 60)
	switch {
	case points >= 5:
		return ViolationCritical
	case points == 4:
		return ViolationHigh
	case points >= 2:
		return ViolationMedium
	default:
		return ViolationLow
	}
}

func grade(n, one, two int64) int {
	switch {
	case n >= two:
		return 2
	case n >= one:
		return 1
	default:
		return 0
	}
}

// AbuseEpisode is a time in which a subject was refused more often than is
// taken for an accident. There is one row of each subject, of its last one.
type AbuseEpisode struct {
	Subject   string    `gorm:"primaryKey"` // "key:…", "owner:…" or "ip:…"
	StartedAt time.Time // when it was found
	SeenAt    time.Time // when there was still too much of it, to a tenth of the window
	Denials   int64     // when it was found
	// SuspendedUntil is set where its keys were suspended: until then it goes on.
	SuspendedUntil *time.Time
	Pending        bool   // there may be keys that are yet to be suspended,
	Progress       string // beyond this one
}
