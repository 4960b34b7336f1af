package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// exporter posts spans. OpenTelemetry's own client of OTLP over HTTP comes with
// all of gRPC, eight megabytes of program, for these few lines.
type exporter struct {
	*otlptrace.Exporter
	target  string
	headers http.Header
	client  *http.Client
	log     *zap.Logger
	failing atomic.Bool

	closing context.Context // ends what is being sent when the time to close is over
	cancel  context.CancelFunc
}

func newExporter(o Options) *exporter {
	e := &exporter{
		target: o.Endpoint, headers: o.Headers.Clone(), log: o.Log,
		client: &http.Client{
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 1, IdleConnTimeout: 90 * time.Second},
			// A redirect would take the headers to a place that was not asked for.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if e.headers == nil {
		e.headers = http.Header{}
	}
	e.headers.Set("Content-Type", "application/x-protobuf")
	e.headers.Set("User-Agent", "viva/"+o.Version)
	e.closing, e.cancel = context.WithCancel(context.Background())
	e.Exporter = otlptrace.NewUnstarted(upload{e})
	return e
}

// ExportSpans sends a batch. It returns no error: it is told here, and what was
// not taken is dropped.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.Exporter.ExportSpans(ctx, spans)
	if err != nil {
		e.failed(err)
	} else if e.failing.CompareAndSwap(true, false) {
		e.log.Info("traces are taken again")
	}
	return nil
}

// failed tells of the first of failures in a row.
func (e *exporter) failed(err error) {
	if e.failing.CompareAndSwap(false, true) {
		e.log.Warn("traces cannot be sent and are dropped", zap.Error(err))
	}
}

// upload is what the exporter calls with spans in the form they are sent in.
type upload struct{ *exporter }

func (upload) Start(context.Context) error { return nil }

func (u upload) Stop(context.Context) error {
	u.cancel()
	u.client.CloseIdleConnections()
	return nil
}

// maxAnswer bounds what is read of an answer, in bytes: it says nothing of use.
const maxAnswer = 64 << 10

// UploadTraces posts a batch once.
func (u upload) UploadTraces(ctx context.Context, spans []*otlp.ResourceSpans) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.closing, cancel)()
	// On the wire, TracesData is the same as the request of the collector's service.
	body, err := proto.Marshal(&otlp.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = u.headers
	resp, err := u.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("no answer in time")
		}
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // without the URL, which may hold a secret
		}
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered %s", resp.Status)
	}
	return nil
}
