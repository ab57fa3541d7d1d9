//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// logged measures, in each suite that starts loggers, a service that writes lines until the last is written: its logger
// takes them as fast as its disk does.
func (b *bench) logged(logger string) func(context.Context, []*suite) (map[string]sample, error) {
	return func(ctx context.Context, suites []*suite) (_ map[string]sample, err error) {
		took, names := map[string]sample{}, map[string]string{}
		defer func() { err = errors.Join(err, stopAll(suites)) }()
		for _, s := range suites {
			if s.settings != nil {
				continue // its scanner writes logs itself
			}
			if names[s.name], err = s.startLogged(ctx, logger); err != nil {
				return nil, err
			}
		}
		for range min(b.rounds, 3) { // a logger has it for seconds
			for _, s := range suites {
				name := names[s.name]
				if name == "" {
					continue
				}
				began := rig.Now()
				if err := unix.Kill(s.stamps.last[name].pid, unix.SIGHUP); err != nil {
					return nil, err
				}
				st, err := s.stamps.of(ctx, name)
				if err != nil {
					return nil, fmt.Errorf("%s: %w%s", s.name, err, s.said())
				}
				took[s.name] = append(took[s.name], float64(st.at-began))
			}
		}
		return took, nil
	}
}

// startLogged starts the suite with one service, which has a logger.
func (s *suite) startLogged(ctx context.Context, logger string) (name string, err error) {
	if err := s.fresh(0); err != nil {
		return "", err
	}
	name, path, err := s.service()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(path, svdir.Log, "main"), 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(path, "lines"), nil, 0o600); err != nil {
		return "", err
	}
	run := filepath.Join(path, svdir.Log, svdir.Run)
	if err := os.WriteFile(run, []byte("#!/bin/sh\n"+logger+"\n"), 0o700); err != nil { //nolint:gosec // it is a program
		return "", err
	}
	if _, err := s.arrive(name, path); err != nil {
		return "", err
	}
	_, err = s.start(ctx, 1)
	return name, err
}
