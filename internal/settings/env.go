package settings

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/status"
	"vigil/internal/svdir"
)

// ErrVariable says that a file of env/ has a name that no variable can have.
var ErrVariable = errors.New("not a variable's name")

// maxVariable bounds a file of env/, in bytes: what execve takes for one string.
const maxVariable = 128 << 10

// An Env is what env/, an envdir, sets and unsets, with the last good value of each. The zero
// value is empty.
type Env map[string]Variable

// A Variable is one file of env/.
type Variable struct {
	Value string
	Unset bool // the file is empty
}

// Read returns what the open service directory dir says now, and the files of it that are not
// used. As in daemontools' envdir, a variable's value is the first line of its file without
// spaces and tabs at its end, and with its NULs as newlines; an empty file unsets the variable. Root
// uses none that others could have written: PATH or LD_PRELOAD would be a program of theirs.
func (e Env) Read(dir int) (Env, []Problem) {
	fd, err := unix.Openat(dir, svdir.Env, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return e, []Problem{{svdir.Env, err}}
	}
	d := os.NewFile(uintptr(fd), svdir.Env)
	defer func() { _ = d.Close() }() // it is only read
	var owner unix.Stat_t
	err = unix.Fstat(dir, &owner)
	trust := svdir.TrustOwner(&owner)
	if err == nil {
		err = trust.CheckAt(fd, ".")
	}
	var names []string
	if err == nil {
		names, err = d.Readdirnames(-1)
	}
	if err != nil {
		return e, []Problem{{svdir.Env, err}}
	}
	slices.Sort(names)
	fresh := Env{}
	var problems []Problem
	for _, name := range names {
		if name[0] == '.' {
			continue
		}
		v, err := readVariable(fd, name, trust)
		if err != nil {
			problems = append(problems, Problem{svdir.Env + "/" + name, err})
			var known bool
			if v, known = e[name]; !known {
				continue
			}
		}
		fresh[name] = v
	}
	return fresh, problems
}

func readVariable(dir int, name string, trust svdir.Trust) (Variable, error) {
	if strings.Contains(name, "=") {
		return Variable{}, ErrVariable
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, 0); err != nil {
		return Variable{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return Variable{}, ErrNotRegular
	}
	if err := trust.Check(&st); err != nil {
		return Variable{}, err
	}
	b, err := status.ReadFile(dir, name, maxVariable)
	if err != nil {
		return Variable{}, err
	}
	if len(b) == maxVariable {
		return Variable{}, unix.E2BIG
	}
	if len(b) == 0 {
		return Variable{Unset: true}, nil
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return Variable{Value: strings.ReplaceAll(strings.TrimRight(line, " \t"), "\x00", "\n")}, nil
}

// Apply returns the environment base with what e sets and unsets.
func (e Env) Apply(base []string) []string {
	out := slices.DeleteFunc(slices.Clone(base), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, mine := e[name]
		return mine
	})
	for name, v := range e {
		if !v.Unset {
			out = append(out, name+"="+v.Value)
		}
	}
	return out
}
