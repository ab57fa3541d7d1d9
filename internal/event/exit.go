package event

import "vigil/internal/control"

// WaitStatus is what wait(2) would tell of the exit. An unknown one is told as code 255.
func (e Exit) WaitStatus() uint16 {
	switch {
	case !e.Ended:
		return 0
	case e.Unknown:
		return 255 << 8
	case e.Signal != "":
		return uint16(control.Signal(e.Signal).Number())
	default:
		return uint16(e.Code&0xff) << 8
	}
}
