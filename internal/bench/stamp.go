//go:build linux

package main

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/rig"
)

//go:embed stamp/stamp.c
var stampSource string

// A stamp is what a service says of its start: nobody else is asked when it was.
type stamp struct {
	at   time.Duration // by the monotonic clock, since boot
	pid  int
	name string
}

func parseStamp(line string) (stamp, error) {
	fields := strings.SplitN(line, " ", 3)
	if len(fields) != 3 {
		return stamp{}, fmt.Errorf("not a stamp: %q", line)
	}
	ns, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return stamp{}, fmt.Errorf("not a stamp: %q: %w", line, err)
	}
	pid, err := strconv.Atoi(fields[1])
	if err != nil {
		return stamp{}, fmt.Errorf("not a stamp: %q: %w", line, err)
	}
	return stamp{time.Duration(ns), pid, fields[2]}, nil
}

// stamps is the FIFO that the services of one suite write to, and their latest stamps.
type stamps struct {
	fifo  *os.File
	lines chan string
	last  map[string]stamp // by the name of the service
}

// openStamps makes the FIFO, and the program that is every service's run, in dir.
func openStamps(ctx context.Context, dir string) (s *stamps, program string, err error) {
	path, program := filepath.Join(dir, "stamps"), filepath.Join(dir, "stamp")
	if err := rig.Compile(ctx, program, stampSource, "-DSTAMPS="+strconv.Quote(path), "-DLINES="+strconv.Itoa(spilled)); err != nil {
		return nil, "", err
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, "", &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	// For both, so that it is never without a writer and never at its end.
	fifo, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", err
	}
	s = &stamps{fifo: fifo, lines: make(chan string, 1024), last: map[string]stamp{}}
	go func() {
		defer close(s.lines)
		for in := bufio.NewScanner(fifo); in.Scan(); {
			s.lines <- in.Text()
		}
	}()
	return s, program, nil
}

// spilled is how many bytes a service writes for its logger.
const spilled = 16 << 20

// patience is how long anything here may take before the benchmark gives up.
const patience = 3 * time.Minute

// next waits for a stamp.
func (s *stamps) next(ctx context.Context) (stamp, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case line, ok := <-s.lines:
		if !ok {
			return stamp{}, os.ErrClosed
		}
		st, err := parseStamp(line)
		if err == nil {
			s.last[st.name] = st
		}
		return st, err
	case <-ctx.Done():
		return stamp{}, fmt.Errorf("no service started: %w", ctx.Err())
	}
}

// of waits for the next stamp of one service.
func (s *stamps) of(ctx context.Context, name string) (stamp, error) {
	for {
		st, err := s.next(ctx)
		if err != nil {
			return stamp{}, fmt.Errorf("%s: %w", name, err)
		}
		if st.name == name {
			return st, nil
		}
	}
}

// forget drops what was written so far.
func (s *stamps) forget() {
	clear(s.last)
	for {
		select {
		case <-s.lines:
		default:
			return
		}
	}
}

// close ends the reading of stamps.
func (s *stamps) close() error { return s.fifo.Close() }
