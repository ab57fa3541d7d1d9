package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/sample"
	"vigil/internal/settings"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

// metrics keeps a file for node_exporter's textfile collector up to date until it is told to end.
func metrics(ctx context.Context, args []string, stderr io.Writer) error {
	f := pflag.NewFlagSet("metrics", pflag.ContinueOnError)
	interval := f.StringP("interval", "i", "15s", "")
	if err := parse(f, args); err != nil {
		return err
	}
	every, err := settings.ParseDuration(*interval)
	if err != nil || every < time.Second || f.NArg() != 1 {
		return cli.UsageError("svmon metrics [-i INTERVAL] FILE; an interval is 1s or more")
	}
	if fi, err := os.Lstat(f.Arg(0)); err == nil && !fi.Mode().IsRegular() {
		return cli.UsageError(strconv.Quote(f.Arg(0)) + " is no regular file, and would be replaced by one")
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
	defer stop()
	path := filepath.Join(svdir.ScanDir(), svdir.ScanOwn, svdir.EventsSocket)
	s := subscribe.New(path, subscribe.Filter{Events: []event.Kind{"*", event.Sample}, Every: every})
	print := cli.NewPrinter("svmon", stderr)
	s.Lost = func(err error) {
		if err != nil {
			print.Warn("read", path, err)
		}
	}
	return keep(ctx, s, f.Arg(0), every, print)
}

// keep writes the file at every interval, and first when the hub has told how everything is.
func keep(ctx context.Context, s *subscribe.Stream, file string, every time.Duration, print *cli.Printer) error {
	items, ended := make(chan subscribe.Item), make(chan error, 1)
	go func() {
		defer func() { _ = s.Close() }() // it was only read
		for {
			item, err := s.Next(ctx)
			if err != nil {
				ended <- err
				return
			}
			select {
			case items <- item:
			case <-ctx.Done():
			}
		}
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for book := newBook(); ; {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case item := <-items:
			if book.enter(&item.Record); item.Record.Event != event.Synced {
				continue
			}
		case <-tick.C:
		}
		if err := write(file, book.families(time.Now().Add(-max(oldSample, 2*every)))); err != nil {
			print.Warn("write", file, err)
		}
	}
}

// oldSample is how old a sample may be that is written, where the interval is not longer: nobody knows what a service
// uses while svmon serve is away.
const oldSample = time.Minute

// A book has what is known of each service.
type book struct {
	states  map[string]event.Record
	samples map[string]sample.Sample
	taken   map[string]time.Time // when the samples were
}

func newBook() *book {
	return &book{map[string]event.Record{}, map[string]sample.Sample{}, map[string]time.Time{}}
}

func (b *book) enter(r *event.Record) {
	switch {
	case r.Service == "":
	case r.Event == event.Removed:
		delete(b.states, r.Service)
		delete(b.samples, r.Service)
		delete(b.taken, r.Service)
	case r.Event == event.Sample:
		if before := b.states[r.Service]; runs(&before) { // else it was taken a moment before the end
			b.samples[r.Service], b.taken[r.Service] = sample.Of(r), r.Time
		}
	case r.State != "":
		if b.states[r.Service] = *r; !runs(r) {
			delete(b.samples, r.Service)
		}
	}
}

func runs(r *event.Record) bool { return r.State == event.PhaseUp || r.State == event.PhaseStopping }

// A gauge is one figure of each service.
type gauge struct {
	name, help string
	of         func(r *event.Record, s *sample.Sample) (float64, bool)
}

func total(m sample.Metric, unit float64) func(*event.Record, *sample.Sample) (float64, bool) {
	return func(_ *event.Record, s *sample.Sample) (float64, bool) {
		n, known := s.Total.Get(m)
		return n * unit, known && s.PID != 0
	}
}

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// percent is of one core.
const percent = 0.01

var gauges = []gauge{
	{"vigil_service_up", "Whether the service runs.", func(r *event.Record, _ *sample.Sample) (float64, bool) {
		return flag(runs(r)), true
	}},
	{"vigil_service_ready", "Whether the service is ready.", func(r *event.Record, _ *sample.Sample) (float64, bool) {
		return flag(r.Ready), true
	}},
	{"vigil_service_failed", "Whether the service has been given up.", func(r *event.Record, _ *sample.Sample) (float64, bool) {
		return flag(r.State == event.PhaseFailed), true
	}},
	{"vigil_service_deaths", "Deaths in a row.", func(r *event.Record, _ *sample.Sample) (float64, bool) { return float64(r.Deaths), true }},
	{"vigil_service_cpu_cores", "CPU of the service and all below it, in cores.", total(sample.CPU, percent)},
	{"vigil_service_resident_bytes", "Memory of the service and all below it.", total(sample.RSS, 1)},
	{"vigil_service_virtual_bytes", "Address space of the service and all below it.", total(sample.VMS, 1)},
	{"vigil_service_open_fds", "Descriptors of the service and all below it.", total(sample.FDs, 1)},
	{"vigil_service_threads", "Threads of the service and all below it.", total(sample.Threads, 1)},
	{"vigil_service_read_bytes", "Bytes read from the storage since the service began.", total(sample.Read, 1)},
	{"vigil_service_written_bytes", "Bytes written to the storage since the service began.", total(sample.Write, 1)},
	{"vigil_service_processes", "Processes of the service.", func(_ *event.Record, s *sample.Sample) (float64, bool) {
		return float64(s.Children + 1), s.PID != 0
	}},
}

// families are the figures in the order of the page, with what was sampled since.
func (b *book) families(since time.Time) (all []*dto.MetricFamily) {
	names := keys(b.states)
	for _, g := range gauges {
		family := &dto.MetricFamily{Name: &g.name, Help: &g.help, Type: dto.MetricType_GAUGE.Enum()}
		for _, name := range names {
			r, s := b.states[name], b.samples[name]
			if b.taken[name].Before(since) {
				s = sample.Sample{}
			}
			if n, known := g.of(&r, &s); known {
				label := "service"
				family.Metric = append(family.Metric, &dto.Metric{
					Label: []*dto.LabelPair{{Name: &label, Value: &name}}, Gauge: &dto.Gauge{Value: &n},
				})
			}
		}
		all = append(all, family)
	}
	return slices.DeleteFunc(all, func(f *dto.MetricFamily) bool { return len(f.Metric) == 0 })
}

// write puts the file in place whole: the collector may read it at any moment.
func write(path string, families []*dto.MetricFamily) error {
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			return err
		}
	}
	next := path + ".new" // the collector looks at *.prom alone
	if err := os.WriteFile(next, text.Bytes(), svdir.ModeStatus); err != nil {
		return err
	}
	return os.Rename(next, path)
}
