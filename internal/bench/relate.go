//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"vigil/internal/event"
	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// chained is how many oneshots need each other.
const chained = 100

// relative makes a service directory, which needs another one if that has a name, with files of one line.
func (s *suite) relative(needs string, files map[string]string) (name, path string, err error) {
	if name, path, err = s.service(); err != nil {
		return "", "", err
	}
	if needs != "" {
		files[svdir.Needs+"/"+needs] = ""
		if err := os.Mkdir(filepath.Join(path, svdir.Needs), 0o700); err != nil {
			return "", "", err
		}
	}
	for file, line := range files {
		if err := os.WriteFile(filepath.Join(path, file), []byte(line+"\n"), 0o600); err != nil {
			return "", "", err
		}
	}
	return name, path, nil
}

// arrive moves a service in, and returns when that was.
func (s *suite) arrive(name, path string) (at time.Duration, err error) {
	at = rig.Now()
	return at, os.Rename(path, filepath.Join(s.scan, name))
}

func isWaiting(_ string, r event.Record) bool { return r.State == event.PhaseWaiting }

// needs measures, of a service that waits for another one, what there is between the start of that, which is
// ready at once, and its own.
func (b *bench) needs(ctx context.Context, s *suite) (took sample, err error) {
	for range b.arriving {
		first, firstPath, err := s.relative("", map[string]string{"notification-fd": "3"})
		if err != nil {
			return nil, err
		}
		second, secondPath, err := s.relative(first, map[string]string{})
		if err != nil {
			return nil, err
		}
		if _, err := s.arrive(second, secondPath); err != nil {
			return nil, err
		}
		if _, err := s.until(ctx, []string{second}, isWaiting); err != nil {
			return nil, err
		}
		if _, err := s.arrive(first, firstPath); err != nil {
			return nil, err
		}
		st, err := s.stamps.of(ctx, second)
		if err != nil {
			return nil, err
		}
		took = append(took, float64(st.at-s.stamps.last[first].at))
	}
	return took, nil
}

// chain measures the arrival of the first of a chain of oneshots until the last has started.
func (b *bench) chain(ctx context.Context, s *suite) (sample, error) {
	head, headPath, err := s.relative("", map[string]string{"restart": "never"})
	if err != nil {
		return nil, err
	}
	last, waiting := head, []string{}
	for range chained - 1 {
		name, path, err := s.relative(last, map[string]string{"restart": "never"})
		if err == nil {
			_, err = s.arrive(name, path)
		}
		if err != nil {
			return nil, err
		}
		last, waiting = name, append(waiting, name)
	}
	if _, err := s.until(ctx, waiting, isWaiting); err != nil {
		return nil, err
	}
	began, err := s.arrive(head, headPath)
	if err != nil {
		return nil, err
	}
	st, err := s.stamps.of(ctx, last)
	return sample{float64(st.at - began)}, err
}

// scales measures a template that has one instance, and is to have as many as there are services. Nothing else
// runs, as when those are started.
func (b *bench) scales(ctx context.Context) (found sample, err error) {
	for range b.rounds {
		s := vigil(b.bin)
		err := b.apart(ctx, s, 1, func(time.Duration) error {
			took, err := s.scale(ctx, b.services)
			found = append(found, took)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (s *suite) scale(ctx context.Context, n int) (float64, error) {
	name, path, err := s.relative("", map[string]string{svdir.Instances: "1"})
	if err != nil {
		return 0, err
	}
	template := name + "@"
	if _, err := s.arrive(template, path); err != nil {
		return 0, err
	}
	if _, err := s.stamps.of(ctx, svdir.InstanceName(template, 1)); err != nil {
		return 0, err
	}
	began := rig.Now()
	number := filepath.Join(s.scan, template, svdir.Instances)
	if err := os.WriteFile(number, fmt.Appendln(nil, n), 0o600); err != nil {
		return 0, err
	}
	last := began
	for range n - 1 {
		st, err := s.stamps.next(ctx)
		if err != nil {
			return 0, err
		}
		last = max(last, st.at)
	}
	return float64(last - began), nil
}
