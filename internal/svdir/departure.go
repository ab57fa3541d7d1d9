package svdir

import (
	"strconv"
	"strings"
)

// A Departure is what a supervise of several services tells svscan in the FIFO Left when one of them leaves while it
// goes on with others: what its exit status tells where there is one. It is a line PID START DEVICE:INODE STATUS, or
// PID START @N STATUS.
type Departure struct {
	PID    int // of the supervise
	Start  uint64
	ID     string // of the service directory, or its Place where that could not be opened
	Status int    // as that of the exit would be
}

// Place is what stands for the id of the nth directory that a supervise was started with; the first is 1.
func Place(n int) string { return "@" + strconv.Itoa(n) }

// Line is the line, which is short enough to be written at once.
func (d Departure) Line() string {
	return strconv.Itoa(d.PID) + " " + strconv.FormatUint(d.Start, 10) + " " + d.ID + " " + strconv.Itoa(d.Status) + "\n"
}

// ParseDeparture reads a line, with or without its end.
func ParseDeparture(line string) (d Departure, ok bool) {
	f := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if len(f) != 4 || f[2] == "" {
		return Departure{}, false
	}
	var errs [3]error
	d.ID = f[2]
	d.PID, errs[0] = strconv.Atoi(f[0])
	d.Start, errs[1] = strconv.ParseUint(f[1], 10, 64)
	d.Status, errs[2] = strconv.Atoi(f[3])
	return d, errs == [3]error{}
}

// OrderName is the name of the file in Leave by which svscan tells a supervise of several services that the one whose
// directory has the id has to leave.
func OrderName(pid int, start uint64, id string) string {
	return strconv.Itoa(pid) + "-" + strconv.FormatUint(start, 10) + "-" + id
}
