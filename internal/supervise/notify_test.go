package supervise

import (
	"errors"
	"testing"
	"time"

	"vigil/internal/machine"
)

func TestParseNotice(t *testing.T) {
	for text, want := range map[string]machine.Notified{
		"READY=1":                                  {Ready: true},
		"READY=1\nSTATUS=up and well\n":            {Ready: true, Status: "up and well", HasStatus: true},
		"RELOADING=1\nMONOTONIC_USEC=8":            {Reloading: true},
		"STOPPING=1\nERRNO=5":                      {Stopping: true},
		"WATCHDOG=1":                               {Alive: true},
		"WATCHDOG=trigger":                         {Broken: true},
		"EXTEND_TIMEOUT_USEC=2500000":              {Extend: 2500 * time.Millisecond},
		"EXTEND_TIMEOUT_USEC=-1":                   {},
		"EXTEND_TIMEOUT_USEC=99999999999999999999": {},
		"READY=0":                                  {}, "READY": {}, "": {}, "\n\n=\n": {}, "BARRIER=1": {}, "\x00\xff": {}, "STATUS=": {HasStatus: true},
	} {
		if got, err := parseNotice(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if got, err := parseNotice("MAINPID=1\nREADY=1"); !errors.Is(err, errMainPID) || !got.Ready {
		t.Error(got, err)
	}
}
