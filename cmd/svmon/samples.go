package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"vigil/internal/cli"
	"vigil/internal/cli/table"
	"vigil/internal/event"
	"vigil/internal/sample"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

// patience is how long samples waits for what should be there after two of a second each.
const patience = 5 * time.Second

func parse(f *pflag.FlagSet, args []string) error {
	f.Usage = func() {}
	f.SetOutput(io.Discard)
	if err := f.Parse(args); err != nil {
		return cli.UsageError(err.Error() + "; svmon --help tells more")
	}
	return nil
}

// samples prints what services use now.
func samples(ctx context.Context, args []string, stdout io.Writer) error {
	f := pflag.NewFlagSet("samples", pflag.ContinueOnError)
	asJSON := f.BoolP("json", "j", false, "")
	if err := parse(f, args); err != nil {
		return err
	}
	found, err := gather(ctx, f.Args())
	if len(found) == 0 && err != nil {
		return err
	}
	if !*asJSON {
		return cmp.Or(writeSamples(stdout, found), err)
	}
	for i := range found {
		if _, err := stdout.Write(found[i].Append(nil)); err != nil {
			return err
		}
	}
	return err
}

// Why there are no samples.
var (
	errNoService = errors.New("no such service")
	errNoSample  = errors.New("no sample came in time")
)

// gather asks for samples until each service that runs has one that tells its CPU, too, which takes two
// readings. The error is why there are none, or none of a name.
func gather(ctx context.Context, names []string) ([]event.Record, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	socket := filepath.Join(svdir.ScanDir(), svdir.ScanOwn, svdir.EventsSocket)
	s, err := subscribe.Dial(ctx, socket, subscribe.Filter{Services: names, Events: []event.Kind{event.Sample}})
	if err != nil {
		return nil, &cli.Failure{Doing: "connect to " + socket, Err: err}
	}
	defer func() { _ = s.Close() }() // it was only read
	running, got := map[string]int{}, map[string]event.Record{}
	unknown := slices.Clone(names)
	began, synced := time.Now(), false
	for !synced || slices.ContainsFunc(keys(running), func(name string) bool { return !isWhole(got[name], running[name], began) }) {
		item, err := s.Next(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			return nil, &cli.Failure{Doing: "read " + socket, Err: err}
		}
		switch r := item.Record; r.Event {
		case event.State:
			unknown = slices.DeleteFunc(unknown, func(name string) bool { return means(name, r.Service) })
			if r.State == event.PhaseUp && r.PID != 0 {
				running[r.Service] = r.PID
			}
		case event.Sample:
			got[r.Service] = r
			if pid, known := running[r.Service]; known && pid != r.PID {
				running[r.Service] = r.PID
			}
		case event.Synced:
			synced = true
		}
	}
	var list []event.Record
	for _, name := range keys(got) {
		if got[name].Time.After(began) { // else it is the hub's last one, of whenever
			list = append(list, got[name])
		}
	}
	if len(unknown) > 0 {
		return list, &cli.Failure{Doing: "sample " + strings.Join(unknown, " "), Err: errNoService}
	}
	if len(list) == 0 && len(running) > 0 {
		return nil, &cli.Failure{Doing: "sample " + strings.Join(keys(running), " "), Err: errNoSample}
	}
	return list, nil
}

// means reports that the name is that of the service or of its template, or a pattern of it.
func means(name, service string) bool {
	template, _, isInstance := svdir.Instance(service)
	matches, err := path.Match(name, service)
	return name == service || isInstance && name == template || matches && err == nil
}

func keys[T any](m map[string]T) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, svdir.Compare)
	return names
}

// isWhole reports a sample of the process that was taken since, with its CPU.
func isWhole(r event.Record, pid int, since time.Time) bool {
	s := sample.Of(&r)
	_, known := s.Total.Get(sample.CPU)
	return r.PID == pid && known && r.Time.After(since)
}

var sampleHead = []table.Column{
	{Title: "NAME"},
	{Title: "PID", Right: true},
	{Title: "CPU", Right: true},
	{Title: "RSS", Right: true},
	{Title: "FDS", Right: true},
	{Title: "THREADS", Right: true},
	{Title: "CHILDREN", Right: true},
	{Title: "READ/S", Right: true},
	{Title: "WRITE/S", Right: true},
	{Title: "AGE", Right: true},
}

// writeSamples writes a table of what the services use with all that descend from them.
func writeSamples(w io.Writer, records []event.Record) error {
	var rows [][]table.Cell
	for i := range records {
		s := sample.Of(&records[i])
		rate := func(m sample.Metric) table.Cell { return table.Cell{Text: s.Total.Text(m)} }
		rows = append(rows, []table.Cell{
			{Text: cli.Printable(records[i].Service)},
			{Text: strconv.Itoa(s.PID)},
			rate(sample.CPU), rate(sample.RSS),
			rate(sample.FDs), rate(sample.Threads),
			{Text: strconv.Itoa(s.Children)},
			rate(sample.ReadRate), rate(sample.WriteRate),
			{Text: s.Age.Truncate(time.Second).String()},
		})
	}
	return table.ScreenOf(w).Write(w, sampleHead, rows)
}
