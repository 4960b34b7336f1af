package models

import (
	"encoding/json"
	"time"
)

// Position gives the place of a row in the list of rows. No row has an id of
// its own, so what tells it from others of its instant stands for one.
func (l *UsageLog) Position() Position {
	id, _ := json.Marshal(logPosition{l.RequestID, l.Kind, l.Meter}) // text and numbers always can be
	return Position{Value: l.At.UTC().Format(time.RFC3339Nano), ID: string(id)}
}

type logPosition struct {
	RequestID string
	Kind      RecordKind
	Meter     string
}

// ParseUsageLogPosition reads a position back, into a row with nothing else.
func ParseUsageLogPosition(p *Position) (UsageLog, error) {
	at, err := time.Parse(time.RFC3339Nano, p.Value)
	if err != nil {
		return UsageLog{}, err
	}
	var id logPosition
	if err := json.Unmarshal([]byte(p.ID), &id); err != nil {
		return UsageLog{}, err
	}
	return UsageLog{At: at, RequestID: id.RequestID, Kind: id.Kind, Meter: id.Meter}, nil
}

// Position gives the place of a violation in the list of them.
func (v *RateLimitViolation) Position() Position {
	return Position{Value: v.Minute.UTC().Format(time.RFC3339Nano), ID: string(v.ID)}
}
