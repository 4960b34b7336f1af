package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/viva/rate-limiter/internal/app"
	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/models"
)

// inspection is what `viva journal inspect` was asked for.
type inspection struct {
	dir                      string
	offline, asJSON, records bool
}

func journalInspect() *cobra.Command {
	var in inspection
	cmd := &cobra.Command{
		Use: "inspect", Short: "Describe the segments of a journal, beside whatever writes it", Args: noArgs,
		Long: "Changes nothing and takes no lock. What is being written at the moment may show as a torn end.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd, "")
			if err != nil {
				return err
			}
			if in.dir == "" {
				in.dir = app.JournalDir(cfg)
			}
			if in.records {
				return in.printRecords(cmd.OutOrStdout())
			}
			return in.print(cmd, cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.dir, "dir", "", "`folder` of the journal (default that of the configuration)")
	flags.BoolVar(&in.offline, "offline", false, "do not ask the database how far it has the streams")
	flags.BoolVar(&in.records, "records", false, "print the records, one JSON object a line")
	addJSONFlag(cmd, &in.asJSON)
	return cmd
}

// segmentLine is a segment as JSON.
type segmentLine struct {
	Stream    models.StreamID `json:"stream"`
	File      string          `json:"file"`
	Records   int64           `json:"records"`
	Bytes     int64           `json:"bytes"`
	First     int64           `json:"first_seq"`
	Last      int64           `json:"last_seq"`
	Corrupt   int             `json:"corrupt"`
	Torn      bool            `json:"torn"`
	CreatedAt *time.Time      `json:"created_at"` // null where its header is damaged
	// Database is how far the database has the stream; absent where it was not
	// asked.
	Database *streamState `json:"database,omitempty"`
}

type streamState struct {
	Known   bool  `json:"known"`
	LastSeq int64 `json:"last_seq"`
	Gaps    int64 `json:"gaps"`
	Drained bool  `json:"drained"`
	Lost    bool  `json:"lost"`
}

func (in *inspection) print(cmd *cobra.Command, cfg *config.Config) error {
	var lines []segmentLine
	err := app.InspectJournal(in.dir, func(s app.JournalSegment) error {
		line := segmentLine{
			Stream: s.Stream, File: s.File, Records: s.Records, Bytes: s.Bytes, First: s.First, Last: s.Last, Corrupt: s.Corrupt, Torn: s.Torn,
		}
		if !s.Created.IsZero() {
			line.CreatedAt = &s.Created
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		return err
	}
	if !in.offline && app.HasDatabase(cfg) {
		if err := askDatabase(cmd, cfg, lines); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "how far the database has them is not known (--offline leaves it out): %v\n", err)
		}
	}
	if in.asJSON {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		for i := range lines {
			if err := encoder.Encode(&lines[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return printSegments(cmd.OutOrStdout(), lines)
}

// askDatabase fills in how far the streams are in the database.
func askDatabase(cmd *cobra.Command, cfg *config.Config, lines []segmentLine) error {
	db, err := app.OpenDatabase(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	states := map[models.StreamID]*streamState{}
	for i := range lines {
		id := lines[i].Stream
		if states[id] == nil {
			cursor, err := db.Cursor(cmd.Context(), id)
			if err != nil {
				return err
			}
			states[id] = &streamState{}
			if cursor != nil {
				states[id] = &streamState{true, cursor.LastSeq, cursor.Gaps, cursor.DrainedAt != nil, cursor.LostAt != nil}
			}
		}
		lines[i].Database = states[id]
	}
	return nil
}

func printSegments(out io.Writer, lines []segmentLine) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STREAM\tRECORDS\tBYTES\tFIRST\tLAST\tCORRUPT\tTORN\tCREATED\tIN DATABASE")
	for i := range lines {
		l := &lines[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%t\t%s\t%s\n",
			l.Stream, l.Records, l.Bytes, l.First, l.Last, l.Corrupt, l.Torn, stamp(l.CreatedAt), l.Database)
	}
	return w.Flush()
}

func (s *streamState) String() string {
	switch {
	case s == nil:
		return "-"
	case !s.Known:
		return "nothing"
	}
	text := fmt.Sprintf("up to %d", s.LastSeq)
	if s.Gaps > 0 {
		text += fmt.Sprintf(", %d missing", s.Gaps)
	}
	if s.Lost {
		text += ", declared lost"
	}
	if s.Drained {
		text += ", all"
	}
	return text
}

// recordLine is a record as JSON. It holds no secret: none is journalled.
type recordLine struct {
	Stream    models.StreamID        `json:"stream"`
	Seq       int64                  `json:"seq"`
	WrittenAt time.Time              `json:"written_at"`
	Readable  bool                   `json:"readable"`
	Kind      models.RecordKind      `json:"record_kind,omitzero"`
	RequestID string                 `json:"request_id,omitzero"`
	At        time.Time              `json:"at,omitzero"`
	KeyID     models.KeyID           `json:"key_id,omitzero"`
	OwnerID   models.OwnerID         `json:"owner_id,omitzero"`
	PlanID    models.PlanID          `json:"plan_id,omitzero"`
	Plan      int                    `json:"plan_version,omitzero"`
	Live      bool                   `json:"live,omitzero"`
	Code      string                 `json:"code,omitzero"`
	Allowed   bool                   `json:"allowed,omitzero"`
	Degraded  bool                   `json:"degraded,omitzero"`
	Replayed  bool                   `json:"replayed,omitzero"`
	Settle    bool                   `json:"settle,omitzero"`
	Meter     string                 `json:"meter,omitzero"`
	Cost      int64                  `json:"cost"`
	Units     int64                  `json:"units"`
	Method    string                 `json:"method,omitzero"`
	Endpoint  string                 `json:"endpoint,omitzero"`
	IP        netip.Addr             `json:"ip,omitzero"`
	UserAgent string                 `json:"user_agent,omitzero"`
	Status    int                    `json:"status,omitzero"`
	LatencyMS int64                  `json:"latency_ms,omitzero"`
	BytesIn   int64                  `json:"bytes_in,omitzero"`
	BytesOut  int64                  `json:"bytes_out,omitzero"`
	Limits    []models.RecordedLimit `json:"limits,omitempty"`
}

func recordLineOf(stream models.StreamID, seq int64, at time.Time, r *models.Record) recordLine {
	line := recordLine{Stream: stream, Seq: seq, WrittenAt: at.UTC()}
	if r == nil {
		return line
	}
	return recordLine{
		Stream: stream, Seq: seq, WrittenAt: at.UTC(), Readable: true,
		Kind: r.Kind, RequestID: r.RequestID, At: r.At.UTC(), KeyID: r.KeyID,
		OwnerID: r.Segment.OwnerID, PlanID: r.Segment.PlanID, Plan: r.Segment.PlanVersion, Live: r.Live,
		Code: r.Code, Allowed: r.Allowed, Degraded: r.Degraded, Replayed: r.Replayed, Settle: r.Settle,
		Meter: r.Meter, Cost: r.Cost, Units: r.Units, Method: r.Method, Endpoint: r.Endpoint, IP: r.IP, UserAgent: r.UserAgent,
		Status: r.Status, LatencyMS: r.LatencyMS, BytesIn: r.BytesIn, BytesOut: r.BytesOut, Limits: r.Limits,
	}
}

func (in *inspection) printRecords(out io.Writer) error {
	encoder := json.NewEncoder(out)
	return app.JournalRecords(in.dir, func(stream models.StreamID, seq int64, at time.Time, r *models.Record) error {
		return encoder.Encode(recordLineOf(stream, seq, at, r))
	})
}
