//go:build linux

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/rig"
	"vigil/internal/svdir"
)

//go:embed stamp/family.c
var familySource string

// family is how many processes a service has that is monitored.
const family = 5

// tick is svmon's, and looked is how long the processor that it uses is measured for one number.
const (
	tick   = 5 * time.Second
	looked = 2 * tick
)

// The rules of a service that is monitored, as svmon-rules(5) has them: with the first it is sampled, and no more.
var (
	firstRule = map[string]string{"mem": "rss.total > 500M for 3 of 5 then restart"}
	moreRules = map[string]string{
		"warn": "rss.total > 400M for 3 then alert", "cpu": "cpu.total > 80% for 5 every 30s then restart",
		"fds": "fds > 90% for 3 then restart", "fat-worker": "rss.each > 300M for 3 of 5 then signal QUIT",
	}
)

// What was monitored is what was measured of one svmon.
type monitored struct{ sampling, ruling, memory, acting sample }

// monitoring are the steps about svmon, of services that nothing else runs beside: it reads all of /proc.
func (b *bench) monitoring() []step {
	const memory, action = 40 << 20, 50 * float64(time.Millisecond)
	of := func(what string) string {
		return fmt.Sprintf("svmon of %d services, %d processes each: %s", b.services, family, what)
	}
	return []step{
		{of("sampling, of a core"), percent, 1, ofOurs(b.svmon(func(m *monitored) sample { return m.sampling }))},
		{of("and 5 rules each, of a core"), percent, 2, ofOurs(b.svmon(func(m *monitored) sample { return m.ruling }))},
		{of("private memory"), kilobytes, memory, ofOurs(b.svmon(func(m *monitored) sample { return m.memory }))},
		{of("a page says 500 -> the service has its rule's HUP"), milliseconds, action, ofOurs(b.svmon(func(m *monitored) sample { return m.acting }))},
	}
}

func percent(n float64) string { return fmt.Sprintf("%.2f %%", n) }

// svmon returns one thing that was measured of the svmon of a suite; all of it is measured at once.
func (b *bench) svmon(pick func(*monitored) sample) func(context.Context, *suite) (sample, error) {
	return func(ctx context.Context, s *suite) (sample, error) {
		if b.monitored[s.name] == nil {
			m, err := b.monitor(ctx, s)
			if err != nil {
				return nil, err
			}
			if b.monitored == nil {
				b.monitored = map[string]*monitored{}
			}
			b.monitored[s.name] = m
		}
		return pick(b.monitored[s.name]), nil
	}
}

// monitor starts a scan directory of its own, with services of several processes, and measures its svmon.
func (b *bench) monitor(ctx context.Context, of *suite) (m *monitored, err error) {
	s := *of
	s.name += "-monitored"
	if err := s.prepare(ctx, filepath.Dir(of.dir)); err != nil {
		return nil, err
	}
	program := s.binary
	s.binary = filepath.Join(s.dir, "family")
	if err := rig.Compile(ctx, s.binary, familySource, "-DPROGRAM="+strconv.Quote(program), "-DCHILDREN="+strconv.Itoa(family-1)); err != nil {
		return nil, err
	}
	s.program = func(_ *suite, _, path string) error {
		return errors.Join(os.Mkdir(filepath.Join(path, svdir.Rules), 0o700), writeRules(path, firstRule))
	}
	if err := s.fresh(b.services); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if _, err := s.start(ctx, b.services); err != nil {
		return nil, err
	}
	all, err := rig.Tree(s.root.Pid)
	if err != nil {
		return nil, err
	}
	found := rig.Named(all, "svmon")
	if len(found) != 1 {
		return nil, fmt.Errorf("%s: %d svmon%s", s.name, len(found), s.said())
	}
	return b.measureMonitor(ctx, &s, found[0].PID)
}

// writeRules writes rules of the service in a directory.
func writeRules(dir string, rules map[string]string) error {
	for name, line := range rules {
		if err := os.WriteFile(filepath.Join(dir, svdir.Rules, name), []byte(line+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measureMonitor(ctx context.Context, s *suite, pid int) (m *monitored, err error) {
	m = &monitored{}
	if m.sampling, err = b.usage(ctx, pid); err != nil {
		return nil, err
	}
	for name := range s.stamps.last {
		if err := writeRules(filepath.Join(s.scan, name), moreRules); err != nil {
			return nil, err
		}
	}
	if m.ruling, err = b.usage(ctx, pid); err != nil {
		return nil, err
	}
	private, err := rig.Private(pid)
	if err != nil {
		return nil, err
	}
	m.memory = sample{float64(private)}
	m.acting, err = b.acted(ctx, s)
	return m, err
}

// usage is how much of a core a process uses, after it has got used to what there is.
func (b *bench) usage(ctx context.Context, pid int) (found sample, err error) {
	if err := sleep(ctx, looked); err != nil {
		return nil, err
	}
	for range max(1, b.watch/looked) {
		before, began, err := spent(pid)
		if err == nil {
			err = sleep(ctx, looked)
		}
		if err != nil {
			return nil, err
		}
		after, ended, err := spent(pid)
		if err != nil {
			return nil, err
		}
		found = append(found, 100*float64(after-before)/float64(ended-began))
	}
	return found, nil
}

// spent is the time that the threads of a process have had a processor, and when that was so.
func spent(pid int) (used, at time.Duration, err error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, 0, err
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread is gone
		}
		if err != nil {
			return 0, 0, err
		}
		ns, err := strconv.ParseInt(strings.Fields(string(content))[0], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", path, err)
		}
		used += time.Duration(ns)
	}
	if used == 0 {
		return 0, 0, fmt.Errorf("process %d has had no processor", pid)
	}
	return used, rig.Now(), nil
}

// acted measures a page that says 500 once until the service has the signal that its rule sends it then.
func (b *bench) acted(ctx context.Context, s *suite) (took sample, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	said := make(chan time.Duration) // when it said 500
	bad := false
	page := func(w http.ResponseWriter, r *http.Request) {
		if bad = !bad; !bad {
			return // all is well again
		}
		select {
		case said <- rig.Now():
			w.WriteHeader(http.StatusInternalServerError)
		case <-r.Context().Done():
		}
	}
	server := &http.Server{Handler: http.HandlerFunc(page), ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(listener) }() // it is closed in the end
	defer func() { err = errors.Join(err, server.Close()) }()
	name := slices.Min(slices.Collect(maps.Keys(s.stamps.last)))
	rule := fmt.Sprintf("http http://%s/ 200-299 every 1s then signal HUP", listener.Addr())
	if err := writeRules(filepath.Join(s.scan, name), map[string]string{"page": rule}); err != nil {
		return nil, err
	}
	for range (b.tries + 4) / 5 {
		select {
		case at := <-said:
			st, err := s.stamps.of(ctx, name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w%s", s.name, err, s.said())
			}
			took = append(took, float64(st.at-at))
		case <-time.After(patience):
			return nil, fmt.Errorf("%s: nobody asks for the page%s", s.name, s.said())
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return took, nil
}
