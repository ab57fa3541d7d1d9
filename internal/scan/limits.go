package scan

import (
	"math"
	"strconv"
)

// A demand is what all services together take of something, and how much of it there is.
type demand struct {
	limit string // a sysctl, or what else is to be raised
	takes string
	needs uint64
	has   uint64
}

const unlimited = math.MaxUint64

// What one supervise takes, idle, and what it runs.
const (
	tasksEach = 3  // threads of its own
	filesEach = 14 // descriptors
	pagesEach = 32 // of the buffers of its FIFOs, control and ok
	pagesLog  = 16 // of a logger's pipe
	ownTasks  = 64 // svscan, the hub and svmon
	ownFiles  = 32 // svscan's, beside one for each service
	ownWatch  = 2  // svscan's, beside one for each service with a logger
)

// limits are what the kernel allows. What cannot be read is unlimited.
type limits struct {
	files    uint64 // RLIMIT_NOFILE
	procs    uint64 // RLIMIT_NPROC; unlimited for root
	watches  uint64 // fs.inotify.max_user_watches
	pids     uint64 // kernel.pid_max
	threads  uint64 // kernel.threads-max
	group    uint64 // pids.max of the cgroup, or one above it
	allFiles uint64 // fs.file-max
	pages    uint64 // fs.pipe-user-pages-soft; unlimited for root
}

// shortages are the demands of a number of services, some with a logger, that exceed the limits, where one supervise
// has at most so many of them.
func shortages(services, loggers, group int, l limits) []demand {
	posts := uint64(services + loggers)
	tasks := posts + (posts+uint64(group)-1)/uint64(group)*tasksEach + ownTasks
	var short []demand
	for _, d := range []demand{
		{"RLIMIT_NOFILE (ulimit -n)", "descriptors of svscan", uint64(services) + ownFiles, l.files},
		{"RLIMIT_NOFILE (ulimit -n)", "descriptors of a supervise", min(posts, uint64(group)) * filesEach, l.files},
		{"RLIMIT_NPROC (ulimit -u)", "processes and threads", tasks, l.procs},
		{"pids.max of the control group (TasksMax of a systemd unit)", "processes and threads", tasks, l.group},
		{"kernel.pid_max", "processes and threads", tasks, l.pids},
		{"kernel.threads-max", "processes and threads", tasks, l.threads},
		{"fs.file-max", "open files", posts*filesEach + uint64(services), l.allFiles},
		{"fs.inotify.max_user_watches", "inotify watches", uint64(loggers) + ownWatch, l.watches},
		{"fs.pipe-user-pages-soft", "pages for FIFOs that have their full room", posts*pagesEach + uint64(loggers)*pagesLog, l.pages},
	} {
		if d.needs > d.has {
			short = append(short, d)
		}
	}
	return short
}

// checkLimits says, each limit once, which ones the services that are there exceed.
func (s *scanner) checkLimits() {
	services, loggers := len(s.services), 0
	for _, v := range s.services {
		if v.logID != (ID{}) {
			loggers++
		}
	}
	if services+loggers < s.limitsFrom {
		return
	}
	s.limitsFrom = (services+loggers)*5/4 + 1
	for _, d := range shortages(services, loggers, max(s.Group, 1), readLimits()) {
		number := func(n uint64) string { return strconv.FormatUint(n, 10) }
		if !s.once[d.limit] {
			s.once[d.limit] = true
			s.print.Print("warning: " + strconv.Itoa(services) + " services and " + strconv.Itoa(loggers) + " loggers need about " +
				number(d.needs) + " " + d.takes + ": raise " + d.limit + ", which is " + number(d.has))
		}
	}
}
