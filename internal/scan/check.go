package scan

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/settings"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// Check looks at a scan directory without starting anything, and writes FILE: REASON, or FILE:LINE: REASON, for
// each file that is wrong. It returns how many there are. So many instances a template may ask for at most.
func Check(dir string, mostInstances int, w io.Writer) (int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, &cli.Failure{Doing: "read " + dir, Err: err}
	}
	c := checker{w: w, most: mostInstances, seen: make(map[ID]string), needs: make(map[string][]string)}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			c.entry(dir, e.Name())
		}
	}
	c.relations(dir)
	return c.wrong, c.err
}

type checker struct {
	w     io.Writer
	wrong int
	most  int   // instances of a template
	err   error // of the first line that could not be written
	seen  map[ID]string
	needs map[string][]string // of each service, by its name
}

// sayLine says what is wrong with the line of a one-line file that counts.
func (c *checker) sayLine(path, reason string) {
	content, err := status.ReadFile(unix.AT_FDCWD, path, settings.MaxFile) // it may be a FIFO
	if n := settings.LineNumber(content); err == nil && n > 0 {
		path += ":" + strconv.Itoa(n)
	}
	c.say(path, reason)
}

func (c *checker) say(path, reason string) {
	c.wrong++
	_, err := io.WriteString(c.w, cli.Printable(path)+": "+cli.Printable(reason)+"\n")
	if c.err == nil {
		c.err = err
	}
}

func (c *checker) entry(scan, name string) {
	path := scan + "/" + name
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	if errors.Is(err, unix.ENOENT) {
		c.say(path, "is a symbolic link to nothing")
		return
	}
	if err != nil {
		c.say(path, cli.Cause(err))
		return
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return
	}
	if err := svdir.CheckName(name); err != nil {
		c.say(path, err.Error())
		return
	}
	if of, _, ok := svdir.Instance(name); ok && isOurs(path) && isDirectory(scan+"/"+of) {
		return // what it is made of is checked
	}
	id := idOf(&st)
	if first, twice := c.seen[id]; twice {
		c.say(path, "is the same directory as "+first)
		return
	}
	c.seen[id] = path
	for file, err := range dangers(path) {
		c.say(filepath.Join(path, file), err.Error())
	}
	if svdir.IsTemplate(name) {
		if err := readNumber(path, c.most).err; err != nil && !errors.Is(err, unix.ENOENT) {
			c.sayLine(path+"/"+svdir.Instances, cli.Cause(err))
		}
	}
	c.service(path)
	logger := path + "/" + svdir.Log
	if unix.Stat(logger, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		c.service(logger)
	}
}

func isDirectory(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// service checks one service directory.
func (c *checker) service(path string) {
	run := path + "/" + svdir.Run
	if lookAtRun(run) == ProgramMissing {
		c.say(run, "file does not exist")
	}
	c.program(run)
	optional := []string{svdir.Finish, svdir.Reload, svdir.Check, svdir.PreStart, svdir.PostReady, svdir.PreStop, svdir.PostStop}
	controls, _ := os.ReadDir(path + "/" + svdir.Control) // Settings.Read says what is wrong
	for _, e := range controls {
		if settings.IsControl(e.Name()) {
			optional = append(optional, svdir.Control+"/"+e.Name())
		}
	}
	for _, name := range optional {
		c.optional(path + "/" + name)
	}
	for _, k := range settings.Keys {
		if file := path + "/" + k.Name; lookAtRun(file) == ProgramDangling {
			c.say(file, ProgramDangling.wrong())
		}
	}
	c.settings(path)
}

// optional checks a program that need not be there, as far as Settings.Read does not say what is wrong.
func (c *checker) optional(path string) {
	switch program := lookAtRun(path); program { //nolint:exhaustive // the others are no programs
	case ProgramRunnable:
		c.interpreter(path)
	case ProgramEmpty, ProgramDangling:
		c.say(path, program.wrong())
	}
}

// program checks a program, if it is there.
func (c *checker) program(path string) {
	program := lookAtRun(path)
	if wrong := program.wrong(); wrong != "" {
		c.say(path, wrong)
	}
	if program == ProgramRunnable {
		c.interpreter(path)
	}
}

// maxFirstLine is how much of a script the kernel looks at for its interpreter.
const maxFirstLine = 256

// binaries are what programs without an interpreter begin with: ELF, and Mach-O of both orders and
// of several machines.
var binaries = []string{"\x7fELF", "\xcf\xfa\xed\xfe", "\xfe\xed\xfa\xcf", "\xca\xfe\xba\xbe"}

// interpreter checks that the kernel would run the program: supervise has no shell to fall back on.
func (c *checker) interpreter(path string) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrPermission) {
		return // what may only be run cannot be checked
	}
	if err != nil {
		c.say(path, cli.Cause(err))
		return
	}
	defer func() { _ = f.Close() }() // nothing was written
	head := make([]byte, maxFirstLine)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		c.say(path, cli.Cause(err))
		return
	}
	head = head[:n]
	if !bytes.HasPrefix(head, []byte("#!")) {
		isBinary := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
		if !slices.ContainsFunc(binaries, isBinary) {
			c.say(path, "begins neither with #! nor as a program does")
		}
		return
	}
	line, _, whole := bytes.Cut(head[2:], []byte("\n"))
	words := strings.Fields(string(line))
	if !whole && n == maxFirstLine {
		c.say(path, "has a first line longer than 255 bytes")
		return
	}
	if len(words) == 0 {
		c.say(path, "names no interpreter after #!")
		return
	}
	if bytes.HasSuffix(line, []byte("\r")) {
		c.say(path, "has a carriage return at the end of its first line")
		return
	}
	if wrong := lookAtRun(words[0]); wrong != ProgramRunnable {
		reason := wrong.wrong()
		if wrong == ProgramMissing {
			reason = "does not exist"
		}
		c.say(path, "its interpreter "+words[0]+" "+reason)
	}
}

// settings checks the one-line files.
func (c *checker) settings(path string) {
	dir, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		c.say(path, cli.Cause(err))
		return
	}
	defer func() { _ = unix.Close(dir) }() // nothing was written
	s := settings.Default()
	for _, p := range append(s.Read(dir), s.ReadForks(dir)...) {
		if errors.Is(p.Err, settings.ErrNotExecutable) || errors.Is(p.Err, unix.ENOTDIR) {
			c.say(path+"/"+p.File, cli.Cause(p.Err)) // that is of no line
			continue
		}
		c.sayLine(path+"/"+p.File, cli.Cause(p.Err))
	}
	for _, n := range s.Needs {
		c.needs[path] = append(c.needs[path], n.Name)
	}
	_, problems := settings.Env{}.Read(dir)
	for _, p := range problems {
		if errors.Is(p.Err, svdir.ErrWritable) || errors.Is(p.Err, svdir.ErrForeign) {
			continue // it is one of the dangers
		}
		c.say(path+"/"+p.File, cli.Cause(p.Err))
	}
}
