package early

import (
	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/svdir"
)

// fifos are those of the services, open.
var fifos [512]int32

var _ = startSvc // entry_linux_amd64.s calls it

// startSvc is svc -LETTERS NAME... and svc WORD NAME... for services that all have a supervise, if nothing is waited
// for. Those whose FIFO is full, or lost its reader meanwhile, are left to main.
func startSvc(argc int, argv **byte) {
	a := args{argc, argv}
	var commands [16]byte
	n, first := readCommands(a, &commands)
	opened := openControls(a, first)
	if n == 0 || opened == 0 || first+opened < a.n {
		closeAll(fifos[:opened])
		return
	}
	mask := setMask(1 << (unix.SIGPIPE - 1)) // it leads to an error otherwise
	left := first
	for i, fd := range fifos[:opened] {
		if _, errno := write(int(fd), commands[:n]); errno != 0 {
			*a.at(left) = *a.at(first + i)
			left++
		}
	}
	setMask(mask)
	switch left - first {
	case 0:
		exit(0)
	case opened:
		closeAll(fifos[:opened])
	default:
		_ = a.again(left) // only its status could tell
		exit(111)
	}
}

func closeAll(fifos []int32) {
	for _, fd := range fifos {
		closeFD(int(fd))
	}
}

// readCommands reads the bytes of the commands, and returns how many there are and where the names begin.
// There are none if an option is no command, or a command means something else to other suites.
func readCommands(a args, commands *[16]byte) (n, first int) {
	if a.n < 2 {
		return 0, 1
	}
	if word := a.get(1); word != "" && word[0] != '-' {
		c, ok := control.ByWord(word)
		if !ok || c == control.Restart {
			return 0, 1
		}
		commands[0] = byte(c)
		return 1, 2
	}
	for first = 1; first < a.n; first++ {
		option := a.get(first)
		if option == "" || option[0] != '-' {
			break
		}
		for i := 1; i < len(option); i++ {
			c := control.Command(option[i])
			if _, ok := control.Lookup(c); !ok || c == control.Restart || n == len(commands) {
				return 0, first
			}
			commands[n] = option[i]
			n++
		}
		if len(option) == 1 {
			return 0, first
		}
	}
	return n, first
}

// openControls opens the FIFOs of the services in their order, up to one that cannot be opened.
func openControls(a args, first int) int {
	var p path
	for i := first; i < a.n; i++ {
		name := a.get(i)
		if i-first == len(fifos) || !isPlain(name) || !p.enter(name) {
			return i - first
		}
		fd, errno := p.open(svdir.Supervise+"/"+svdir.Control, unix.O_WRONLY|unix.O_NOFOLLOW)
		if errno != 0 {
			return i - first
		}
		if !isFIFO(fd) {
			closeFD(fd)
			return i - first
		}
		fifos[i-first] = int32(fd)
	}
	return a.n - first
}
