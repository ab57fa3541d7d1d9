package cli

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// A Failure is an error with what was being done: "unable to open supervise/lock: temporary
// failure". It keeps fmt, which links reflection, out of small programs.
type Failure struct {
	Doing string // "open supervise/lock"
	Err   error
}

func (f *Failure) Error() string { return "unable to " + f.Doing + ": " + Cause(f.Err) }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Cause is an error in daemontools' words where it comes from the system: scripts match them.
func Cause(err error) string {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure.Error()
	}
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return Errno(errno)
	}
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}

// Errno returns djb's own words for an errno, from daemontools' error_str.c. It is a switch because a
// map would be memory that every supervise pays for.
func Errno(errno unix.Errno) string {
	switch errno {
	case 0:
		return "no error"
	case unix.EINTR:
		return "interrupted system call"
	case unix.ENOMEM:
		return "out of memory"
	case unix.ENOENT:
		return "file does not exist"
	case unix.ETXTBSY:
		return "text busy"
	case unix.EIO:
		return "input/output error"
	case unix.EEXIST:
		return "file already exists"
	case unix.ETIMEDOUT:
		return "timed out"
	case unix.EINPROGRESS:
		return "operation in progress"
	case unix.EAGAIN:
		return "temporary failure"
	case unix.EPIPE:
		return "broken pipe"
	case unix.EPERM:
		return "permission denied"
	case unix.EACCES:
		return "access denied"
	case unix.ENXIO:
		return "device not configured"
	case unix.EISDIR:
		return "is a directory"
	case unix.EPROTO:
		return "protocol error"
	case unix.ECONNREFUSED:
		return "connection refused"
	case unix.ENOTDIR:
		return "not a directory"
	case unix.ENOTSOCK:
		return "not a socket"
	case unix.EISCONN:
		return "already connected"
	case unix.ESRCH:
		return "no such process"
	case unix.E2BIG:
		return "argument list too long"
	case unix.ENOEXEC:
		return "exec format error"
	case unix.EBADF:
		return "file descriptor not open"
	case unix.ECHILD:
		return "no child processes"
	case unix.EBUSY:
		return "device busy"
	case unix.EXDEV:
		return "cross-device link"
	case unix.ENODEV:
		return "device does not support operation"
	case unix.EINVAL:
		return "invalid argument"
	case unix.ENFILE:
		return "system cannot open more files"
	case unix.EMFILE:
		return "process cannot open more files"
	case unix.EFBIG:
		return "file too big"
	case unix.ENOSPC:
		return "out of disk space"
	case unix.ESPIPE:
		return "unseekable descriptor"
	case unix.EROFS:
		return "read-only file system"
	case unix.EMLINK:
		return "too many links"
	case unix.EDEADLK:
		return "deadlock detected"
	case unix.ELOOP:
		return "symbolic link loop"
	case unix.ECONNRESET:
		return "connection reset"
	case unix.EADDRINUSE:
		return "address already used"
	case unix.EADDRNOTAVAIL:
		return "address not available"
	case unix.ENETUNREACH:
		return "network unreachable"
	case unix.EPFNOSUPPORT:
		return "protocol family not supported"
	case unix.EAFNOSUPPORT:
		return "address family not supported"
	case unix.ENAMETOOLONG:
		return "file name too long"
	case unix.ENOTEMPTY:
		return "directory not empty"
	case unix.EDQUOT:
		return "disk quota exceeded"
	case unix.ESTALE:
		return "stale NFS file handle"
	case unix.ENOLCK:
		return "no locks available"
	case unix.ENOSYS:
		return "system call not available"
	}
	return "unknown error"
}
