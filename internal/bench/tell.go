//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// notified measures the SIGKILL of a service until a FIFO in its fifodir has the byte of its death.
func (b *bench) notified(ctx context.Context, suites []*suite) (map[string]sample, error) {
	took := map[string]sample{}
	for i := range b.tries {
		for _, s := range suites {
			if !s.notifies {
				continue
			}
			d, err := s.deathNotified(ctx, s.victim(i))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			took[s.name] = append(took[s.name], float64(d))
		}
	}
	return took, nil
}

func (s *suite) deathNotified(ctx context.Context, st stamp) (d time.Duration, err error) {
	if err := sleep(ctx, lifetime-(rig.Now()-st.at)); err != nil {
		return 0, err
	}
	sub, err := fifo.Subscribe(filepath.Join(s.scan, st.name, svdir.Fifodir))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, sub.Close()) }()
	died := make(chan error, 1)
	killed := rig.Now()
	go func() { died <- untilByte(sub, 'd') }()
	if err := unix.Kill(st.pid, unix.SIGKILL); err != nil {
		return 0, err
	}
	select {
	case err = <-died:
		d = rig.Now() - killed
	case <-time.After(patience):
		return 0, errors.New("nothing in the fifodir")
	}
	if err == nil {
		_, err = s.stamps.of(ctx, st.name)
	}
	return d, err
}

// untilByte reads until there is that byte.
func untilByte(sub *fifo.Subscription, b byte) error {
	var got [64]byte
	for {
		n, err := sub.Read(got[:])
		if err != nil || bytes.IndexByte(got[:n], b) >= 0 {
			return err
		}
	}
}
