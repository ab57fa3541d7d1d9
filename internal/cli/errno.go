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

// Errno returns djb's own words for an errno, from daemontools' error_str.c, and Go's for those that it calls unknown.
func Errno(errno unix.Errno) string {
	for i := range words {
		if words[i].errno == errno {
			return words[i].text
		}
	}
	return errno.Error()
}

// words is no map: that would be made at the start of every supervise, and be memory of its own.
var words = [...]struct {
	errno unix.Errno
	text  string
}{
	{0, "no error"},
	{unix.EINTR, "interrupted system call"},
	{unix.ENOMEM, "out of memory"},
	{unix.ENOENT, "file does not exist"},
	{unix.ETXTBSY, "text busy"},
	{unix.EIO, "input/output error"},
	{unix.EEXIST, "file already exists"},
	{unix.ETIMEDOUT, "timed out"},
	{unix.EINPROGRESS, "operation in progress"},
	{unix.EAGAIN, "temporary failure"},
	{unix.EPIPE, "broken pipe"},
	{unix.EPERM, "permission denied"},
	{unix.EACCES, "access denied"},
	{unix.ENXIO, "device not configured"},
	{unix.EISDIR, "is a directory"},
	{unix.EPROTO, "protocol error"},
	{unix.ECONNREFUSED, "connection refused"},
	{unix.ENOTDIR, "not a directory"},
	{unix.ENOTSOCK, "not a socket"},
	{unix.EISCONN, "already connected"},
	{unix.ESRCH, "no such process"},
	{unix.E2BIG, "argument list too long"},
	{unix.ENOEXEC, "exec format error"},
	{unix.EBADF, "file descriptor not open"},
	{unix.ECHILD, "no child processes"},
	{unix.EBUSY, "device busy"},
	{unix.EXDEV, "cross-device link"},
	{unix.ENODEV, "device does not support operation"},
	{unix.EINVAL, "invalid argument"},
	{unix.ENFILE, "system cannot open more files"},
	{unix.EMFILE, "process cannot open more files"},
	{unix.EFBIG, "file too big"},
	{unix.ENOSPC, "out of disk space"},
	{unix.ESPIPE, "unseekable descriptor"},
	{unix.EROFS, "read-only file system"},
	{unix.EMLINK, "too many links"},
	{unix.EDEADLK, "deadlock detected"},
	{unix.ELOOP, "symbolic link loop"},
	{unix.ECONNRESET, "connection reset"},
	{unix.EADDRINUSE, "address already used"},
	{unix.EADDRNOTAVAIL, "address not available"},
	{unix.ENETUNREACH, "network unreachable"},
	{unix.EPFNOSUPPORT, "protocol family not supported"},
	{unix.EAFNOSUPPORT, "address family not supported"},
	{unix.ENAMETOOLONG, "file name too long"},
	{unix.ENOTEMPTY, "directory not empty"},
	{unix.EDQUOT, "disk quota exceeded"},
	{unix.ESTALE, "stale NFS file handle"},
	{unix.ENOLCK, "no locks available"},
	{unix.ENOSYS, "system call not available"},
}
