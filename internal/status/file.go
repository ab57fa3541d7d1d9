package status

import (
	"errors"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// WriteFile puts a file of a directory in place: it writes NAME.new beside it and renames that, so
// that whoever opens NAME has the old content or the new. dir
// is an open directory. What is at NAME.new is removed, never opened: whoever may write in dir may have
// put a link there.
func WriteFile(dir int, name string, content []byte, mode uint32) error {
	fresh := name + ".new"
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_CLOEXEC
	fd, err := unix.Openat(dir, fresh, flags, mode)
	if errors.Is(err, unix.EEXIST) {
		if err = unix.Unlinkat(dir, fresh, 0); err == nil {
			fd, err = unix.Openat(dir, fresh, flags, mode)
		}
	}
	if err != nil {
		return &os.PathError{Op: "create", Path: fresh, Err: err}
	}
	n, err := unix.Write(fd, content)
	if err == nil && n < len(content) {
		err = io.ErrShortWrite
	}
	if errClose := unix.Close(fd); err == nil {
		err = errClose
	}
	if err == nil {
		err = replace(dir, fresh, name)
	}
	if err != nil {
		_ = unix.Unlinkat(dir, fresh, 0) // it takes room, where there may be none
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

// ErrNoRoom says that a file cannot take the content in the room that it has.
var ErrNoRoom = errors.New("no room in the old file")

// OverwriteFile writes the content into the file that is there, where WriteFile cannot make a new
// one: a full disk still has the room that the old file has. The content is there after one write,
// and newlines in the place of what was longer until the file is cut.
func OverwriteFile(dir int, name string, content []byte) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	err = overwrite(fd, content)
	if errClose := unix.Close(fd); err == nil {
		err = errClose
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

func overwrite(fd int, content []byte) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	const block = 512 // the unit of st_blocks
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 || int64(len(content)) > st.Blocks*block {
		return ErrNoRoom
	}
	padded := slices.Clone(content)
	for int64(len(padded)) < st.Size {
		padded = append(padded, '\n')
	}
	n, err := unix.Pwrite(fd, padded, 0)
	if err == nil && n < len(padded) {
		err = io.ErrShortWrite
	}
	if err == nil && len(padded) > len(content) {
		err = unix.Ftruncate(fd, int64(len(content)))
	}
	return err
}

// ReadFile reads a regular file of an open directory, at most limit bytes of it. It never blocks,
// whatever name is.
func ReadFile(dir int, name string, limit int) ([]byte, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	b, err := Read(fd, limit)
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}

// Read reads what is left of an open file, at most limit bytes of it.
func Read(fd, limit int) ([]byte, error) {
	const usual = 1024 // most have less; a large buffer costs more than all the rest
	b := make([]byte, 0, min(limit, usual))
	for {
		m, err := unix.Read(fd, b[len(b):cap(b)])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		}
		if b = b[:len(b)+m]; m == 0 || len(b) == limit {
			return b, nil
		}
		if len(b) == cap(b) {
			more := make([]byte, len(b), min(limit, 2*cap(b)))
			copy(more, b)
			b = more
		}
	}
}
