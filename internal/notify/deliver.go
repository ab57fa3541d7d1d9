package notify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

// errRefused says that the target would not take this message at any time, but may take others.
var errRefused = errors.New("refused")

// errRedirect says that an http target wants to be somewhere else: a POST does not follow.
var errRedirect = errors.New("it is elsewhere; name that")

// maxAnswer bounds what is read of a target's answer, in bytes.
const maxAnswer = 64 << 10

// A parcel is a message for one target.
type parcel struct {
	key  key
	sink *Sink
	home string // where programs run and relative paths begin
	id   string // the same whenever this message is sent
	news news
	logs []string // the sockets of the local syslog
}

// deliver sends one message. That it returns nil is the target's answer where it has one.
func deliver(ctx context.Context, p *parcel) error {
	switch p.sink.Kind {
	case HTTP:
		return post(ctx, p)
	case Mail:
		return sendMail(ctx, p)
	case Syslog:
		return sendSyslog(ctx, p)
	case StatsD:
		return sendStatsD(ctx, p)
	case Unix:
		return sendUnix(ctx, p)
	case Exec:
		return execute(ctx, p)
	}
	return errors.ErrUnsupported
}

// post sends the message as JSON. The answer's status is all that counts.
func post(ctx context.Context, p *parcel) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.sink.Target, bytes.NewReader(p.news.raw))
	if err != nil {
		return withoutURL(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "vigil-svmon/"+cli.Version)
	req.Header.Set("Idempotency-Key", p.id)
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer,
	}
	defer transport.CloseIdleConnections()
	client := http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	_ = resp.Body.Close() // its status is all that counts
	err = errors.New("answer " + resp.Status)
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return fmt.Errorf("%w: %w", err, errRedirect)
	case slices.Contains([]int{400, 413, 415, 422}, code): // it is about what was sent
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// withoutURL is the error without the URL, which often has a secret in it.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// maxComplaint bounds what is kept of what a program writes, in bytes.
const maxComplaint = 1024

// A complaint is the beginning of what a program writes; the rest is thrown away.
type complaint struct{ text []byte }

func (c *complaint) Write(b []byte) (int, error) {
	c.text = append(c.text, b[:min(len(b), maxComplaint-len(c.text))]...)
	return len(b), nil
}

// firstLine is what an error says of it.
func (c *complaint) firstLine() string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(c.text)), "\n")
	return cli.Printable(line)
}

// statusNever is the exit status of a program that will never take this message.
const statusNever = cli.StatusUsage

// execute runs a program in a process group of its own, with the message on its standard input.
func execute(ctx context.Context, p *parcel) error {
	program := p.sink.Args[0]
	if strings.Contains(program, "/") && !filepath.IsAbs(program) {
		if err := checkProgram(p.home, program); err != nil {
			return err
		}
	}
	var said complaint
	cmd := exec.CommandContext(ctx, program, p.sink.Args[1:]...)
	cmd.Dir = p.home
	cmd.Env = append(os.Environ(), p.environ()...)
	cmd.Stdin = bytes.NewReader(append(slices.Clone(p.news.raw), '\n'))
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second // for those that hold its output open when it has ended
	err := cmd.Run()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if line := said.firstLine(); line != "" {
		err = fmt.Errorf("%w: %s", err, line)
	}
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == statusNever {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// checkProgram refuses what others could have written, as everywhere in a service directory.
func checkProgram(home, program string) error {
	var owner, st unix.Stat_t
	if err := unix.Stat(home, &owner); err != nil {
		return err
	}
	if err := unix.Stat(filepath.Join(home, program), &st); err != nil {
		return &os.PathError{Op: "run", Path: program, Err: err}
	}
	if err := svdir.TrustOwner(&owner).Check(&st); err != nil {
		return fmt.Errorf("%s %w", program, err)
	}
	return nil
}

// environ is what a program is told beside its standard input.
func (p *parcel) environ() []string {
	r, n := &p.news.record, &p.news
	instance := ""
	if name, _, _ := strings.Cut(r.Service, "/"); name != "" {
		if template, _, ok := svdir.Instance(name); ok {
			instance = strings.TrimPrefix(name, template)
		}
	}
	dir := p.home
	if r.Service != "" && p.key.service == "" && checkService(r.Service) == nil {
		dir = filepath.Join(p.home, filepath.FromSlash(r.Service))
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	pairs := []string{
		"SV_NAME", r.Service, "SV_INSTANCE", instance, "SV_PID", n.value("pid"), "SV_STATE", string(r.State),
		"SV_EVENT", string(r.Event), "SV_RULE", n.value("rule"), "SV_VALUE", n.value("value"),
		"SV_LIMIT", n.value("limit"), "SV_WHY", cmp.Or(r.Why, r.Reason), "SV_DIR", dir,
	}
	var env []string
	for pair := range slices.Chunk(pairs, 2) {
		env = append(env, pair[0]+"="+strings.ReplaceAll(pair[1], "\x00", ""))
	}
	return env
}

// dialer reaches a target. Its time is bounded by the context of a delivery.
var dialer net.Dialer
