package command

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/fifo"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// Errors of Add and Remove.
var (
	ErrExists   = errors.New("there is something of that name")
	ErrNotAdded = errors.New("svc add has not made it")
	ErrProgram  = errors.New("no program is given, or one that begins with -")
	ErrNUL      = errors.New("there is a NUL in it")
	ErrPath     = errors.New("not an absolute path")
	ErrRest     = errors.New("what it left stays")
)

// A NewService is what Add makes.
type NewService struct {
	Program []string          // and its arguments
	Env     map[string]string // variables
	Dir     string            // where it runs; empty: in the service directory
	Log     string            // the directory of its log; empty: it has no logger
	Down    bool              // it is not started
}

// check reports what could not be written down.
func (n *NewService) check() error {
	if len(n.Program) == 0 || n.Program[0] == "" || n.Program[0][0] == '-' {
		return ErrProgram
	}
	for _, path := range []string{n.Dir, n.Log} {
		if path != "" && !filepath.IsAbs(path) {
			return &BadValueError{path, ErrPath}
		}
	}
	for _, text := range append(slices.Clone(n.Program), n.Dir, n.Log) {
		if strings.ContainsRune(text, 0) {
			return ErrNUL
		}
	}
	for name, value := range n.Env {
		if err := settings.Check("", svdir.Env+"/"+name, value); err != nil {
			return &BadValueError{name, err}
		}
	}
	return nil
}

// quote makes one word of a text for a shell.
func quote(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,+%@"
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// run is the script run.
func (n *NewService) run() string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	if n.Log != "" {
		b.WriteString("exec 2>&1\n")
	}
	if n.Dir != "" {
		b.WriteString("cd " + quote(n.Dir) + " || exit 111\n")
	}
	b.WriteString("exec")
	for _, word := range n.Program {
		b.WriteString(" " + quote(word))
	}
	return b.String() + "\n"
}

// logRun is the script of the logger: the first that there is when it starts.
func (n *NewService) logRun() string {
	return `#!/bin/sh
dir=` + quote(n.Log) + `
mkdir -p "$dir" || exit 111
command -v multilog >/dev/null && exec multilog t "$dir"
command -v svlogd >/dev/null && exec svlogd -tt "$dir"
command -v s6-log >/dev/null && exec s6-log t "$dir"
exec cat >>"$dir/current"
`
}

// added is the file in which Add says what it has made: a path a line.
const added = ".added"

// A newFile is a file of a new service.
type newFile struct {
	content string
	mode    fs.FileMode
}

// files are all files of the service, by their paths in it.
func (n *NewService) files() map[string]newFile {
	files := map[string]newFile{svdir.Run: {n.run(), 0o755}}
	for name, value := range n.Env {
		files[svdir.Env+"/"+name] = newFile{variable(value), modeVariable}
	}
	if n.Log != "" {
		files[svdir.Log+"/"+svdir.Run] = newFile{n.logRun(), 0o755}
	}
	if n.Down {
		files[svdir.DownFile] = newFile{"", svdir.ModeDown}
	}
	names := slices.Sorted(maps.Keys(files))
	files[added] = newFile{strings.Join(names, "\n") + "\n", svdir.ModeDown}
	return files
}

// Add makes a service in a scan directory: hidden first, and then whole at once. If a svscan is at work there, it waits
// until the service has a supervise and can take commands, but no longer than takeUpTime.
func Add(ctx context.Context, scan, name string, n NewService) error {
	if err := svdir.CheckName(name); err != nil {
		return &BadValueError{name, err}
	}
	if err := n.check(); err != nil {
		return err
	}
	dir := filepath.Join(scan, name)
	if _, err := os.Lstat(dir); err == nil {
		return ErrExists
	}
	draft, err := os.MkdirTemp(scan, "."+name+".*")
	if err != nil {
		return err
	}
	err = os.Chmod(draft, 0o755)
	for path, file := range n.files() {
		if err == nil {
			err = writeNew(filepath.Join(draft, path), file)
		}
	}
	if err == nil {
		err = os.Rename(draft, dir)
	}
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		err = ErrExists // it came meanwhile
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(draft))
	}
	awaitSupervise(ctx, scan, dir)
	return nil
}

const (
	takeUpTime = 5 * time.Second      // until Add has nothing more to wait for
	takeUpLook = 2 * time.Millisecond // between two looks
)

// awaitSupervise waits until the service of a directory can take commands, or nobody is there who could see to that.
func awaitSupervise(ctx context.Context, scan, dir string) {
	fd, err := svdir.Open(scan)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	svscan, err := svscanOf(fd)
	if err != nil {
		return // there is none, or it cannot be told
	}
	defer func() { _ = svscan.Close() }() // it was only looked at
	ctx, cancel := context.WithTimeout(ctx, takeUpTime)
	defer cancel()
	tick := time.NewTicker(takeUpLook)
	defer tick.Stop()
	for {
		if fd, err := fifo.OpenWrite(unix.AT_FDCWD, filepath.Join(dir, svdir.Supervise, svdir.OK)); err == nil {
			_ = unix.Close(fd) // nothing was written
			return
		}
		if _, ended := svscan.Ended(); ended {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func writeNew(path string, file newFile) error {
	dir := filepath.Dir(path)
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		err = os.Chmod(dir, 0o755) // whatever the umask is: root runs nothing that others may write to
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.WriteFile(path, []byte(file.content), file.mode); err != nil {
		return err
	}
	return os.Chmod(path, file.mode)
}

// Remove brings a service down that Add has made, and removes that. What else is in the directory stays, in
// Hidden(dir), and the error is ErrRest then. It may take no longer than timeout to go down, if that is not 0.
func Remove(ctx context.Context, dir string, timeout time.Duration) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, ErrTimeout)
		defer cancel()
	}
	list, err := os.ReadFile(filepath.Join(dir, added))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return err
		}
		return ErrNotAdded
	}
	if err != nil {
		return err
	}
	logger := filepath.Join(dir, svdir.Log)
	for _, d := range []string{dir, logger} {
		if err := retire(ctx, d); err != nil {
			return err
		}
	}
	hidden := Hidden(dir)
	if err := os.Rename(dir, hidden); err != nil {
		return err
	}
	return clear(hidden, strings.Split(strings.TrimSuffix(string(list), "\n"), "\n"))
}

// Hidden is where Remove leaves what it does not remove.
func Hidden(dir string) string { return filepath.Join(filepath.Dir(dir), "."+nameOf(dir)) }

// clear removes what Add, Set and supervise have made in a directory, what says so last, and the directory
// if nothing else is left.
func clear(dir string, list []string) (err error) {
	remove := func(path string) {
		if errOne := os.Remove(filepath.Join(dir, path)); !errors.Is(errOne, fs.ErrNotExist) {
			err = errors.Join(err, errOne)
		}
	}
	for _, path := range list {
		if filepath.IsLocal(path) {
			remove(path)
		}
	}
	for _, d := range []string{svdir.Log, "."} {
		for _, k := range settings.Keys {
			remove(filepath.Join(d, k.Name))
		}
		remove(filepath.Join(d, svdir.DownFile))
		for _, made := range []string{svdir.Supervise, svdir.Fifodir, svdir.Env} {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, d, made)))
		}
	}
	remove(added)
	_ = unix.Rmdir(filepath.Join(dir, svdir.Log)) // what is left in there is found with the rest
	if errors.Is(unix.Rmdir(dir), unix.ENOTEMPTY) && err == nil {
		err = ErrRest
	}
	return err
}

// retire brings a service down, and has its supervise exit; one that has none is down.
func retire(ctx context.Context, dir string) error {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC
	lock, err := unix.Open(filepath.Join(dir, svdir.Supervise, svdir.Lock), flags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	commands := []control.Command{control.Down, control.Exit}
	if filepath.Base(dir) == svdir.Log {
		commands = commands[1:] // it ends when it has read all
	}
	if err = Do(ctx, dir, Request{Commands: commands}); err != nil {
		_ = unix.Close(lock) // it was only read
		if errors.Is(err, svdir.ErrNotSupervised) || errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	free := make(chan error, 1)
	go func() { // which may outlive a timeout: nothing else can wait for a lock
		err := flock(lock)
		free <- errors.Join(err, unix.Close(lock))
	}()
	select {
	case err := <-free:
		return err
	case <-ctx.Done():
		return &Error{StepWait, context.Cause(ctx)}
	}
}

// flock waits until nobody has the lock.
func flock(fd int) error {
	for {
		if err := unix.Flock(fd, unix.LOCK_SH); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
