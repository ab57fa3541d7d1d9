package status

import (
	"encoding/binary"
	"time"
)

// A Layout is one of the layouts of a status file that the suites write.
type Layout int

// The layouts.
const (
	Unknown     Layout = iota
	Daemontools        // 18 bytes; daemontools-encore writes 2 or 22 more, of its own meaning
	Runit              // 20 bytes
	S6                 // 35 bytes, of which the first 12 are as daemontools' but for the leap seconds
	Own                // 35 bytes: runit's 20, then s6's
)

// sizeEncore is the length of daemontools-encore's file where the service has a log file.
const sizeEncore = 40

// DecodeAny reads a status file of any suite and says whose layout it has. What that suite does
// not write stays zero; ReadySince is known from s6's own layout only. A file that is too short, or
// that no suite writes, is ErrFormat.
func DecodeAny(b []byte) (Record, Layout, error) {
	layout := layoutOf(b)
	switch layout {
	case Daemontools:
		r, err := Decode(b[:MinSize])
		return r, layout, err
	case Runit, Own:
		r, err := Decode(b)
		return r, layout, err
	case S6:
		return decodeS6(b), layout, nil
	case Unknown:
	}
	return Record{}, Unknown, ErrFormat
}

func layoutOf(b []byte) Layout {
	switch {
	case len(b) < MinSize || b[0] != taiOffset>>56 || b[16] > 1 && len(b) < Size:
		return Unknown
	case len(b) < 20 || len(b) == sizeEncore || len(b) < Size && encoreState(b):
		return Daemontools
	case len(b) < Size:
		return Runit
	case own(b):
		return Own
	case b[12] == taiOffset>>56 && b[34] <= flagPaused|flagFinishing|flagWantUp|flagReady:
		return S6
	}
	return Unknown
}

// encoreState tells encore's bytes 18 and 19, a state and 0, from runit's, whose byte 19 is not 0
// while there is a process, and whose byte 18 is 0 or 1.
func encoreState(b []byte) bool {
	return b[18] > 1 || b[19] == 0 && binary.LittleEndian.Uint32(b[12:16]) != 0
}

// own tells this suite's 35 bytes from s6's: both spell the pid, in two places, only in ours.
func own(b []byte) bool {
	pid := binary.BigEndian.Uint64(b[24:32])
	want := b[17] == 'u' || b[17] == 'd' || b[17] == 0
	return uint64(binary.LittleEndian.Uint32(b[12:16])) == pid && want &&
		b[16] <= 1 && b[18] <= 1 && Phase(b[19]) <= Finish
}

// decodeS6 reads s6-supervise's 35 bytes.
func decodeS6(b []byte) Record {
	flags := b[34]
	r := Record{
		Stamp:      fromS6(b[0:12]),
		ReadySince: fromS6(b[12:24]),
		PID:        int(binary.BigEndian.Uint64(b[24:32])),
		Wait:       binary.BigEndian.Uint16(b[32:34]),
		Paused:     flags&flagPaused != 0,
		Want:       'd',
		Ready:      flags&flagReady != 0,
	}
	if flags&flagWantUp != 0 {
		r.Want = 'u'
	}
	switch {
	case r.PID != 0 && flags&flagFinishing != 0:
		r.Phase = Finish
	case r.PID != 0:
		r.Phase = Run
	}
	return r
}

func fromS6(b []byte) time.Time {
	t := TAI64N(b)
	if t.IsZero() {
		return t
	}
	return t.Add(-taiS6)
}
