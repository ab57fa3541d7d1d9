package fifo

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/status"
)

// A fifodir (s6-ftrig) is a directory in which each subscriber has a FIFO of a name of this
// prefix and length; a notification is written to all of them. Its source is s6's libftrig.
const (
	subscriberPrefix = "ftrig1:@"
	subscriberLen    = 39
	modeFifodir      = 0o3730 // anyone of the group may subscribe; nobody may remove another's
	// modeSubscriber lets a supervise of another uid write (s6 ≥ 2.13 does the same).
	modeSubscriber = 0o622
)

// MakeDir makes the fifodir name in the open directory dir, or leaves the one that is there.
func MakeDir(dir int, name string) error {
	err := unix.Mkdirat(dir, name, 0o700)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	fd := -1
	if err == nil { // by a descriptor, because another may be at the name by now
		fd, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return wrap("make fifodir", name, err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing is written to a directory
	if err = unix.Fchown(fd, -1, os.Getegid()); err == nil {
		err = unix.Fchmod(fd, modeFifodir)
	}
	return wrap("make fifodir", name, err)
}

// Notify writes the bytes to every subscriber of the fifodir. FIFOs that nobody reads are removed;
// a full one misses the bytes, as with s6.
func Notify(dir int, name, bytes string) error {
	names, err := readDir(dir, name)
	if err != nil {
		return err
	}
	for _, entry := range names {
		if !strings.HasPrefix(entry, subscriberPrefix) || len(entry) != subscriberLen {
			continue
		}
		path := name + "/" + entry
		err := Send(dir, path, []byte(bytes))
		if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EPIPE) {
			_ = unix.Unlinkat(dir, path, 0) // another notifier may have been quicker
		}
	}
	return nil
}

func readDir(dir int, name string) ([]string, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, wrap("open", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	names, err := f.Readdirnames(-1)
	return names, errors.Join(err, f.Close())
}

// A Subscription is one subscriber of a fifodir. Its File can be read with a deadline; each byte
// is one notification.
type Subscription struct {
	*os.File
	path string
}

// Subscribe subscribes to the fifodir at path, and makes that if it is not there, as s6's clients
// do. What is notified from then on can be read.
func Subscribe(path string) (*Subscription, error) {
	if err := MakeDir(unix.AT_FDCWD, path); err != nil {
		return nil, err
	}
	name := subscriberName()
	hidden := path + "/." + name
	if err := Make(unix.AT_FDCWD, hidden, modeSubscriber); err != nil {
		return nil, err
	}
	fd, err := OpenBoth(unix.AT_FDCWD, hidden)
	if err == nil {
		err = wrap("rename", hidden, unix.Rename(hidden, path+"/"+name))
	}
	if err != nil {
		_ = unix.Unlink(hidden) // the first error is the one to tell
		return nil, err
	}
	return &Subscription{os.NewFile(uintptr(fd), path+"/"+name), path + "/" + name}, nil
}

// IsThere reports that who notifies still finds the subscriber: its fifodir may have been removed or replaced.
func (s *Subscription) IsThere() bool {
	var there unix.Stat_t
	return unix.Stat(s.path, &there) == nil
}

// Close ends the subscription.
func (s *Subscription) Close() error {
	return errors.Join(wrap("unlink", s.path, unix.Unlink(s.path)), s.File.Close())
}

// subscriberName is a name that nobody else has: a time stamp and six random characters.
func subscriberName() string {
	const hex = "0123456789abcdef"
	var stamp [12]byte
	status.PutTAI64N(stamp[:], time.Now())
	name := []byte(subscriberPrefix)
	for _, b := range stamp {
		name = append(name, hex[b>>4], hex[b&15])
	}
	name = append(name, ':')
	for range 6 {
		name = append(name, hex[rand.IntN(len(hex))])
	}
	return string(name)
}
