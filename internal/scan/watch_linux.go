package scan

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// remote are the file systems (statfs(2)) that others change without our kernel knowing it.
var remote = map[uint32]string{
	0x6969:     "nfs",
	0x517b:     "smb",
	0xff534d42: "cifs",
	0xfe534d42: "smb2",
	0x65735546: "fuse",
	0x01021997: "9p",
	0x00c36400: "ceph",
	0x5346414f: "afs",
	0x6b414653: "afs",
	0x73757245: "coda",
	0x01161970: "gfs2",
	0x7461636f: "ocfs2",
	0x0bd00bd0: "lustre",
	0x564c:     "ncp",
	0x786f4256: "vboxsf",
	0xbacbacbc: "vmhgfs",
}

// remoteKind names the file system of the directory if inotify cannot be relied on there.
func remoteKind(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "" // whatever is wrong, the look at the directory tells it
	}
	return remote[uint32(st.Type)]
}

// openWriter opens a descriptor of the same FIFO that can only write.
func openWriter(fd int) (*os.File, error) {
	return os.OpenFile("/proc/self/fd/"+strconv.Itoa(fd), os.O_WRONLY|unix.O_NONBLOCK, 0)
}

// openPath opens a directory only to keep its inode from being used again.
func openPath(dir string) (int, error) {
	return unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}
