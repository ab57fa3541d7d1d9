// Package probe asks a service whether it is well: one line says how, as in the file probe of
// service(5).
package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"vigil/internal/rule"
	"vigil/internal/svdir"
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
		codes := ""
		if len(args) > 1 {
			codes = args[1]
		}
		return HTTP(ctx, args[0], codes, nil)
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

// TCP returns nil if somebody accepts connections at HOST:PORT.
func TCP(ctx context.Context, address string) error { return dial(ctx, "tcp", address) }

// Unix returns nil if somebody accepts connections at a socket.
func Unix(ctx context.Context, path string) error {
	address, done, err := svdir.SocketAddress(path)
	if err != nil {
		return err
	}
	defer done()
	return dial(ctx, "unix", address)
}

// usualCodes are those of a page that is well.
const usualCodes = "200-399"

// What is read of an answer, in bytes.
const (
	maxHeader = 64 << 10
	maxPage   = 1 << 20
)

// ErrPage says that a page was answered that has not what it must have.
var ErrPage = errors.New("the page does not match")

// HTTP returns nil if a page is answered with one of the codes, usualCodes if they are empty, and its first
// MiB matches; nil matches every page. It is not followed elsewhere.
func HTTP(ctx context.Context, url, codes string, page *regexp.Regexp) error {
	good, ok := rule.ParseCodes(cmp.Or(codes, usualCodes))
	if !ok {
		return ErrCodes
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "svmon-probe")
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // what is left of the page is of no interest
	if !good.Has(resp.StatusCode) {
		return fmt.Errorf("answer %s", resp.Status)
	}
	if page == nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err == nil && !page.Match(text) {
		err = ErrPage
	}
	return err
}

// ErrCodes says that a list of HTTP codes cannot be read.
var ErrCodes = errors.New("codes are not like 200,204,300-399")

func execute(argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("unable to execute %s: %w", path, syscall.Exec(path, argv, os.Environ()))
}
