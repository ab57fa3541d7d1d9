//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// restarts measures a restart until whoever asked for it has been told that the service is up again: by the suite's
// command, and of ours over control.sock, one request after the other on one connection.
func (b *bench) restarts(ctx context.Context, suites []*suite) (map[string]sample, error) {
	took := map[string]sample{}
	for _, s := range suites {
		restart := func(name string) error { return s.call(ctx, s.restart[0], s.arguments(s.restart, []string{name})...) }
		if s.tells {
			c, err := s.dialControl()
			if err != nil {
				return nil, err
			}
			defer func() { _ = c.Close() }() // every answer was read
			restart = c.restart
		} else if s.restart == nil {
			continue
		}
		for i := range (b.tries + 4) / 5 { // some take more than a second each
			st := s.victim(i)
			if err := sleep(ctx, lifetime-(rig.Now()-st.at)); err != nil {
				return nil, err
			}
			began := rig.Now()
			if err := restart(st.name); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			took[s.name] = append(took[s.name], float64(rig.Now()-began))
			if _, err := s.stamps.of(ctx, st.name); err != nil {
				return nil, fmt.Errorf("%s: %w%s", s.name, err, s.said())
			}
		}
	}
	return took, nil
}

// A controller is a connection to the hub's socket for commands.
type controller struct {
	net.Conn
	in *bufio.Scanner
}

func (s *suite) dialControl() (*controller, error) {
	conn, err := net.Dial("unix", filepath.Join(s.scan, svdir.ScanOwn, svdir.ControlSocket))
	if err != nil {
		return nil, err
	}
	c := &controller{conn, bufio.NewScanner(conn)}
	if _, err := conn.Write([]byte(`{"snapshot":false,"follow":false}` + "\n")); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (c *controller) restart(name string) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	request, err := json.Marshal(map[string]any{"id": 1, "do": "restart", "service": []string{name}, "wait": "r"})
	if err != nil {
		return err
	}
	if _, err := c.Write(append(request, '\n')); err != nil {
		return err
	}
	for c.in.Scan() {
		var line struct {
			Event, Reason string
			OK            bool
		}
		if err := json.Unmarshal(c.in.Bytes(), &line); err != nil {
			return err
		}
		if line.Event == "answer" && line.OK {
			return nil
		}
		if line.Event == "answer" || line.Event == "error" {
			return fmt.Errorf("restart of %s: %s", name, c.in.Text())
		}
	}
	return errors.Join(net.ErrClosed, c.in.Err())
}
