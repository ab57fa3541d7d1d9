package svdir

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Why root runs nothing from a file or a directory.
var (
	ErrWritable = errors.New("is writable by others than its owner and root")
	ErrForeign  = errors.New("belongs to neither root nor the owner of the service directory")
)

// writable are the bits that let others write. Of a file with an ACL, the group's are the most that any
// entry of it allows.
const writable = 0o022

// A Trust says who may decide what is run from a service directory: root, and its owner, whom root has
// chosen by using it. An ordinary user can harm nobody else, and trusts everybody.
type Trust struct {
	strict bool
	owner  uint32
}

// TrustOwner is the trust in the owner of a service directory.
func TrustOwner(dir *unix.Stat_t) Trust { return Trust{unix.Geteuid() == 0, dir.Uid} }

// Check reports why nothing may be run from what st tells of.
func (t Trust) Check(st *unix.Stat_t) error {
	switch {
	case !t.strict:
		return nil
	case st.Mode&writable != 0:
		return ErrWritable
	case st.Uid != 0 && st.Uid != t.owner:
		return ErrForeign
	}
	return nil
}

// CheckAt does as Check with the entry name of an open directory; it follows links. One that is not
// there is no danger.
func (t Trust) CheckAt(dir int, name string) error {
	var st unix.Stat_t
	if !t.strict || unix.Fstatat(dir, name, &st, 0) != nil {
		return nil
	}
	return t.Check(&st)
}

// Give sets the owner of an open file. Its group stays ours where this user namespace has none of that number, as in
// an ordinary user's container.
func Give(fd, uid, gid int) error {
	err := unix.Fchown(fd, uid, gid)
	if errors.Is(err, unix.EINVAL) {
		err = unix.Fchown(fd, uid, -1)
	}
	return err
}
