// Package status is the codec of supervise/status and its neighbours: the 35 bytes that
// daemontools', runit's and s6's clients read, runit's text files stat and pid, and s6's
// death_tally.
//
// Bytes 0 to 19 are runit's (whose first 18 are daemontools'), 20 to 34 are s6's. The formats are
// described in service(5).
package status

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"
)

// Size is the length of a status file in bytes. daemontools and runit accept 20 to 37, s6 wants
// 35 or more.
const Size = 35

// MinSize is the length of the shortest status file of another suite: daemontools'.
const MinSize = 18

// ErrFormat says that a status file is too short.
var ErrFormat = errors.New("bad format")

// A Phase is byte 19.
type Phase byte

// The phases, as runit counts them.
const (
	Down Phase = iota
	Run
	Finish
)

// A Record is what the status file says.
type Record struct {
	Stamp      time.Time // last start of run, or last time it went down, once finish has ended
	PID        int       // of run, or of finish while Phase is Finish; 0 if there is none
	Paused     bool
	Want       byte // 'u', 'd', or 0: once
	Term       bool // TERM was sent, and it is not yet dead
	Phase      Phase
	ReadySince time.Time // only the nanoseconds have a place in the file
	Wait       uint16    // wait(2) status of the last run
	Ready      bool      // ready; when down, it may be started
}

// taiOffset is the TAI64 label of 1970-01-01 00:00:00 as daemontools counts: 2^62 + 10 s.
const taiOffset = 1<<62 + 10

// s6's flags, byte 34.
const (
	flagPaused = 1 << iota
	flagFinishing
	flagWantUp
	flagReady
)

// Encode returns the bytes of the status file.
func (r Record) Encode() [Size]byte {
	var b [Size]byte
	PutTAI64N(b[0:12], r.Stamp)
	binary.LittleEndian.PutUint32(b[12:16], uint32(r.PID))
	b[16] = bit(r.Paused, 1)
	b[17] = r.Want
	b[18] = bit(r.Term, 1)
	b[19] = byte(r.Phase)
	if !r.ReadySince.IsZero() {
		binary.BigEndian.PutUint32(b[20:24], uint32(r.ReadySince.Nanosecond()))
	}
	binary.BigEndian.PutUint64(b[24:32], uint64(r.PID))
	binary.BigEndian.PutUint16(b[32:34], r.Wait)
	b[34] = bit(r.Paused, flagPaused) | bit(r.Phase == Finish, flagFinishing) |
		bit(r.Want == 'u', flagWantUp) | bit(r.Ready, flagReady)
	return b
}

func bit(on bool, value byte) byte {
	if on {
		return value
	}
	return 0
}

// Decode reads a status file of this suite, or of daemontools or runit: what those do not write
// stays zero. ReadySince is never known.
func Decode(b []byte) (Record, error) {
	if len(b) < MinSize {
		return Record{}, ErrFormat
	}
	r := Record{
		Stamp:  TAI64N(b[0:12]),
		PID:    int(binary.LittleEndian.Uint32(b[12:16])),
		Paused: b[16] != 0,
		Want:   b[17],
	}
	if len(b) >= 20 {
		r.Term, r.Phase = b[18] != 0, Phase(b[19])
	} else if r.PID != 0 {
		r.Phase = Run
	}
	if len(b) >= Size {
		r.Wait = binary.BigEndian.Uint16(b[32:34])
		r.Ready = b[34]&flagReady != 0
	}
	return r, nil
}

// PutTAI64N writes the 12 bytes of a time as daemontools does.
func PutTAI64N(b []byte, t time.Time) {
	if t.IsZero() {
		clear(b[:12])
		return
	}
	binary.BigEndian.PutUint64(b[0:8], uint64(t.Unix()+taiOffset))
	binary.BigEndian.PutUint32(b[8:12], uint32(t.Nanosecond()))
}

// TAI64N reads the 12 bytes of a time. Nanoseconds beyond a second are taken for none.
func TAI64N(b []byte) time.Time {
	seconds, ns := binary.BigEndian.Uint64(b[0:8]), binary.BigEndian.Uint32(b[8:12])
	if seconds == 0 {
		return time.Time{}
	}
	if ns >= uint32(time.Second) {
		ns = 0
	}
	return time.Unix(int64(seconds-taiOffset), int64(ns)).UTC()
}

// Text is the content of supervise/stat: what runit writes there.
func (r Record) Text() string {
	s := "down"
	switch r.Phase {
	case Run:
		s = "run"
	case Finish:
		s = "finish"
	case Down:
	}
	if r.Paused {
		s += ", paused"
	}
	if r.Term {
		s += ", got TERM"
	}
	if r.Phase != Down && r.Want != 'u' {
		s += ", want down"
	}
	return s + "\n"
}

// PIDText is the content of supervise/pid: nothing if there is no process.
func (r Record) PIDText() string {
	if r.PID == 0 {
		return ""
	}
	return strconv.Itoa(r.PID) + "\n"
}

// LongestLine is what the line of daemontools' svstat has at most without the name, in bytes.
const LongestLine = 128

// AppendLine appends the line of daemontools' svstat for a service that has a supervise, to the letter. downed: it has
// a down file; now: in seconds since 1970.
func (r Record) AppendLine(b []byte, name string, downed bool, now int64) []byte {
	b = append(append(b, name...), ": down "...)
	if r.PID != 0 {
		b = append(b[:len(b)-len("down ")], "up (pid "...)
		b = append(strconv.AppendInt(b, int64(r.PID), 10), ") "...)
	}
	// The difference of the seconds, not the seconds of the difference, as daemontools counts.
	b = append(strconv.AppendInt(b, max(now-r.Stamp.Unix(), 0), 10), " seconds"...)
	for _, flag := range [...]struct {
		on   bool
		text string
	}{
		{r.PID != 0 && downed, ", normally down"},
		{r.PID == 0 && !downed, ", normally up"},
		{r.PID != 0 && r.Paused, ", paused"},
		{r.PID == 0 && r.Want == 'u', ", want up"},
		{r.PID != 0 && r.Want == 'd', ", want down"},
	} {
		if flag.on {
			b = append(b, flag.text...)
		}
	}
	return append(b, '\n')
}

// A Death is one entry of death_tally.
type Death struct {
	At     time.Time
	Code   byte // exit code, or 128 + Signal
	Signal byte // 0 if it exited
}

// DeathSize is the length of one entry in bytes.
const DeathSize = 14

// taiS6 is what s6 adds beyond daemontools: the leap seconds, 37 instead of 10.
const taiS6 = 27 * time.Second

// Encode returns the bytes of the entry.
func (d Death) Encode() [DeathSize]byte {
	var b [DeathSize]byte
	PutTAI64N(b[:12], d.At.Add(taiS6))
	b[12], b[13] = d.Code, d.Signal
	return b
}

// DecodeDeath reads one entry.
func DecodeDeath(b [DeathSize]byte) Death {
	return Death{At: TAI64N(b[:12]).Add(-taiS6), Code: b[12], Signal: b[13]}
}
