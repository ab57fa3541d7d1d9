//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// arrivals measures a directory that is renamed in until its run has started. The directories are
// made before, as those are that somebody renames in because they took time to make.
func (b *bench) arrivals(ctx context.Context, suites []*suite) (map[string]sample, error) {
	took, made := map[string]sample{}, map[string][]string{}
	for range b.arriving {
		for _, s := range suites {
			_, path, err := s.service()
			if err != nil {
				return nil, err
			}
			made[s.name] = append(made[s.name], path)
		}
	}
	for i := range b.arriving {
		for _, s := range suites {
			path := made[s.name][i]
			name := filepath.Base(path)
			renamed := rig.Now()
			err := os.Rename(path, filepath.Join(s.scan, name))
			if err != nil {
				return nil, err
			}
			st, err := s.starts(ctx, name)
			if err != nil {
				return nil, err
			}
			took[s.name] = append(took[s.name], float64(st.at-renamed))
		}
	}
	return took, nil
}

// starts has the suite find a new service, and returns its first stamp.
func (s *suite) starts(ctx context.Context, name string) (st stamp, err error) {
	if s.found != nil {
		if err := s.found(ctx, s, name); err != nil {
			return st, err
		}
	}
	if st, err = s.stamps.of(ctx, name); err != nil {
		return st, fmt.Errorf("%s: %w%s", s.name, err, s.said())
	}
	return st, nil
}

// growings measures a directory that is made where it is to be, from the moment when its run can be executed.
func (b *bench) growings(ctx context.Context, suites []*suite) (map[string]sample, error) {
	took := map[string]sample{}
	for range (b.arriving + 3) / 4 {
		for _, s := range suites {
			name, err := s.growInPlace()
			grown := rig.Now()
			if err != nil {
				return nil, err
			}
			st, err := s.starts(ctx, name)
			if err != nil {
				return nil, err
			}
			took[s.name] = append(took[s.name], float64(st.at-grown))
		}
	}
	return took, nil
}

// growInPlace makes a service directory by mkdir, write and chmod.
func (s *suite) growInPlace() (name string, err error) {
	program, err := os.ReadFile(s.binary)
	if err != nil {
		return "", err
	}
	s.made++
	name = fmt.Sprintf("s%05d", s.made)
	dir := filepath.Join(s.scan, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if s.program != nil {
		if err := s.program(s, name, dir); err != nil {
			return "", err
		}
	}
	run := filepath.Join(dir, svdir.Run)
	if err := os.WriteFile(run, program, 0o600); err != nil {
		return "", err
	}
	return name, os.Chmod(run, 0o700)
}
