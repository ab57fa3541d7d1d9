// Package probe asks a service whether it is well: one line says how, as in the file probe of
// service(5).
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Run carries the probe LINE out: tcp HOST:PORT, unix PATH, http URL [CODES] or exec PROG [ARG …]. It
// returns nil if the service is well, else why it is not. After exec it returns only if the program
// could not be started: the program takes this process's place, and its exit status is the answer.
func Run(ctx context.Context, line string) error {
	words := strings.Fields(line)
	switch kind, args := words[0], words[1:]; kind {
	case "tcp", "unix":
		return dial(ctx, kind, args[0])
	case "http":
		codes := "200-399"
		if len(args) > 1 {
			codes = args[1]
		}
		return get(ctx, args[0], codes)
	default:
		return execute(args)
	}
}

func dial(ctx context.Context, network, address string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return c.Close()
}

// get asks for a page, without following it elsewhere.
func get(ctx context.Context, url, codes string) error {
	good, err := parseCodes(codes)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "svmon-probe")
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil { // its status is all that counts
		return err
	}
	if !good(resp.StatusCode) {
		return fmt.Errorf("answer %s", resp.Status)
	}
	return nil
}

// ErrCodes says that a list of HTTP codes cannot be read.
var ErrCodes = errors.New("codes are not like 200,204,300-399")

func parseCodes(text string) (func(int) bool, error) {
	type span struct{ first, last int }
	var spans []span
	for part := range strings.SplitSeq(text, ",") {
		first, last, isSpan := strings.Cut(part, "-")
		if !isSpan {
			last = first
		}
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA != nil || errB != nil || a < 100 || b > 999 || a > b {
			return nil, ErrCodes
		}
		spans = append(spans, span{a, b})
	}
	return func(code int) bool {
		for _, s := range spans {
			if code >= s.first && code <= s.last {
				return true
			}
		}
		return false
	}, nil
}

func execute(argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("unable to execute %s: %w", path, syscall.Exec(path, argv, os.Environ()))
}
