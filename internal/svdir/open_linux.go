package svdir

import "golang.org/x/sys/unix"

// openHow asks for no permission to list the directory.
const openHow = unix.O_PATH
