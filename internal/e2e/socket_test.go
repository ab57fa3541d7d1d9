//go:build linux

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// dial connects to HOST:PORT, or to the Unix socket of the path, which may be longer than
// sun_path.
func dial(ts *testscript.TestScript, address string) (net.Conn, error) {
	if !strings.Contains(address, "/") {
		if _, _, err := net.SplitHostPort(address); err == nil {
			return net.Dial("tcp", address)
		}
	}
	path := ts.MkAbs(address)
	dir, err := os.Open(path[:strings.LastIndexByte(path, '/')])
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // it was only looked through
	return net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d%s", dir.Fd(), path[strings.LastIndexByte(path, '/'):]))
}

// [!] get ADDRESS PATH [REGEXP]: asks an HTTP server until it answers with 200 and a body that
// matches (or until nobody is there), and prints the body.
func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: [!] get ADDRESS PATH [REGEXP]")
	}
	re := regexp.MustCompile(strings.Join(args[2:], ""))
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return dial(ts, args[0]) },
	}}
	var body string
	var err error
	ok := poll(func() bool {
		body, err = fetch(client, args[1])
		return (err == nil && re.MatchString(body)) != neg
	})
	fmt.Fprint(ts.Stdout(), body)
	if !ok {
		ts.Fatalf("still not so: %v", err)
	}
}

func fetch(client *http.Client, path string) (string, error) {
	resp, err := client.Get("http://service" + path)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return string(body), err
}

// talk [-deaf | -half] [-file FILE] SOCKET REGEXP [LINE...]: connects to a Unix socket, sends the
// file and the lines, and reads until all that came matches; "EOF" waits for the end of it. It
// prints what came. With -deaf it never reads, and holds the connection until the script ends;
// with -half it shuts down its sending side first.
func cmdTalk(ts *testscript.TestScript, neg bool, args []string) {
	var mode, file string
	for len(args) > 1 && strings.HasPrefix(args[0], "-") {
		if args[0] == "-file" {
			file, args = args[1], args[2:]
			continue
		}
		mode, args = args[0], args[1:]
	}
	if len(args) < 2 || neg {
		ts.Fatalf("usage: talk [-deaf | -half] [-file FILE] SOCKET REGEXP [LINE...]")
	}
	conn, err := dial(ts, args[0])
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close() }) // the script has ended
	ts.Check(conn.SetDeadline(time.Now().Add(patience)))
	var message strings.Builder
	if file != "" {
		message.WriteString(ts.ReadFile(file))
	}
	for _, line := range args[2:] {
		message.WriteString(line + "\n")
	}
	_, sendErr := io.WriteString(conn, message.String()) // the other side may close before its end
	if mode == "-deaf" {
		ts.Check(sendErr)
		return
	}
	if mode == "-half" {
		ts.Check(conn.(*net.UnixConn).CloseWrite())
	}
	came, err := readUntil(conn, args[1])
	fmt.Fprint(ts.Stdout(), came)
	ts.Check(err)
}

// readUntil reads until what came matches pattern, or to the end if pattern is EOF.
func readUntil(conn net.Conn, pattern string) (string, error) {
	re, err := regexp.Compile("(?m)" + pattern)
	if err != nil {
		return "", err
	}
	var came []byte
	buf := make([]byte, 64<<10)
	for pattern == "EOF" || !re.Match(came) {
		n, err := conn.Read(buf)
		came = append(came, buf[:n]...)
		if err == nil {
			continue
		}
		if pattern == "EOF" && !os.IsTimeout(err) {
			return string(came), nil // a reset is an end as well
		}
		return string(came), fmt.Errorf("before %q came: %w", pattern, err)
	}
	return string(came), nil
}
