package svdir

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTrust(t *testing.T) {
	const dir, file = unix.S_IFDIR, unix.S_IFREG
	root := Trust{strict: true, owner: 1000}
	for _, test := range []struct {
		st   unix.Stat_t
		want error
	}{
		{unix.Stat_t{Uid: 0, Mode: file | 0o755}, nil},
		{unix.Stat_t{Uid: 1000, Mode: file | 0o755}, nil},
		{unix.Stat_t{Uid: 1000, Mode: dir | 0o700}, nil},
		{unix.Stat_t{Uid: 0, Mode: file | 0o4755}, nil},
		{unix.Stat_t{Uid: 0, Mode: dir | 0o775}, ErrWritable},
		{unix.Stat_t{Uid: 0, Mode: file | 0o757}, ErrWritable},
		{unix.Stat_t{Uid: 1000, Mode: file | 0o020}, ErrWritable},
		{unix.Stat_t{Uid: 0, Mode: dir | 0o1777}, ErrWritable}, // the sticky bit lets others add a finish
		{unix.Stat_t{Uid: 1001, Mode: file | 0o755}, ErrForeign},
		{unix.Stat_t{Uid: 1001, Mode: file | 0o777}, ErrWritable},
	} {
		if err := root.Check(&test.st); !errors.Is(err, test.want) {
			t.Errorf("uid %d, mode %o: %v, not %v", test.st.Uid, test.st.Mode, err, test.want)
		}
		if err := (Trust{owner: 1000}).Check(&test.st); err != nil {
			t.Errorf("an ordinary user does not trust uid %d, mode %o: %v", test.st.Uid, test.st.Mode, err)
		}
	}
}
