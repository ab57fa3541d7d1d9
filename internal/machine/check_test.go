package machine

import (
	"time"

	"vigil/internal/event"
)

// check holds what is true of every state.
func (w *world) check() {
	s := w.state
	if s.PID != w.main.pid || s.Role != w.main.role {
		w.fail("has a %s %d, and there is a %s %d", s.Role, s.PID, w.main.role, w.main.pid)
	}
	if s.ScriptPID != w.script.pid || (s.Job.Program != "") != (w.script.pid != 0) || len(s.Queue) > 0 && s.Job.Program == "" {
		w.fail("has a script %d, and there is %d", s.ScriptPID, w.script.pid)
	}
	if s.CheckPID != w.probe.pid || s.Checking != (s.CheckPID != 0) {
		w.fail("has a check %d, and there is %d", s.CheckPID, w.probe.pid)
	}
	idle := s.Role == NoRole && s.Job.Program == ""
	switch s.Phase {
	case event.PhaseStarting, event.PhaseUp, event.PhaseStopping:
		if s.Role != Run {
			w.fail("is %s without a run", s.Phase)
		}
		if s.Phase == event.PhaseUp && w.lost() != "" {
			w.fail("is up, and is bound to %s", w.lost())
		}
	case event.PhaseDown:
		if s.Role != NoRole || idle && (w.owed.want == wantsUp || w.owed.want == wantsOnce || w.owed.leaving) {
			w.fail("is down, and has something to do")
		}
	case event.PhaseWaiting:
		if s.Role != NoRole || s.Want == WantDown || w.owed.leaving || w.unmet == "" && len(s.Leftover.PIDs) == 0 && s.Job.Program == "" {
			w.fail("waits for nothing")
		}
	case event.PhaseFailed, event.PhaseBackoff:
		if s.Role != NoRole || (s.Want == WantDown) != w.heldForGood() || w.owed.leaving {
			w.fail("is %s, and that is not so", s.Phase)
		}
	case event.PhaseFinishing:
		if s.Role != Finish && !s.Clearing {
			w.fail("waits for no finish")
		}
	}
	w.checkPromises()
	w.checkTimers()
}

// checkPromises holds that what was told to supervise is known to it.
func (w *world) checkPromises() {
	s := w.state
	wants := [...]Want{wantsDown: WantDown, wantsUp: WantUp, wantsOnce: WantOnce, hadOnce: WantOnce}[w.owed.want]
	spent := w.owed.want == hadOnce && s.Want == WantDown && s.Role != Run
	if s.Want != wants && !spent || s.Leaving != w.owed.leaving {
		w.fail("wants %s, leaving %v; the operator %v", s.Want, s.Leaving, w.owed)
	}
	if pending := s.pending(); pending != w.owed.asked {
		w.fail("has %q to ask, and owes %q", pending, w.owed.asked)
	}
	if w.main.stopping && s.Phase != event.PhaseStopping {
		w.fail("has forgotten a stop")
	}
	if s.Phase == event.PhaseStopping && !w.main.signaled && s.Job.Program == "" {
		w.fail("stops, and has sent no signal")
	}
}

// heldForGood reports that only the operator can have the service started again.
func (w *world) heldForGood() bool { return w.state.Phase == event.PhaseFailed && w.state.NextAt == 0 }

// checkTimers holds that there is a time for everything that waits for one, and for nothing else.
func (w *world) checkTimers() {
	s, limit := w.state, w.set.TimeoutFinish != 0
	hungUp := w.owed.eof && s.Role == Run && s.Phase != event.PhaseStopping && limit
	up := s.Phase == event.PhaseUp
	asked := up && !s.Paused && w.set.Asks() && (s.Ready && w.set.CheckFailures != 0 || !s.Ready && !w.set.Says())
	guarded := up && s.Ready && !s.Paused && w.set.NotifySocket && w.set.Watchdog != 0
	triesAgain := s.Phase == event.PhaseFailed && s.Want != WantDown
	forks := s.Phase == event.PhaseStarting && s.Fork != NoFork
	follows := s.Phase == event.PhaseStarting && s.Fork == Any
	ages := s.Phase == event.PhaseUp && w.set.MaxAge.Age != 0
	for _, timer := range []struct {
		name string
		at   time.Duration
		must bool
		may  bool
	}{
		{"next", s.NextAt, s.Phase == event.PhaseBackoff || triesAgain, s.Phase == event.PhaseBackoff || triesAgain},
		{"ready", s.ReadyAt, up && !s.Ready && !w.set.Tells(), up && !w.set.Tells()},
		{"not ready", s.ReadyBy, false, (up || forks) && !s.Ready && w.set.TimeoutReady != 0},
		{"follow", s.FollowAt, follows, follows},
		{"watchdog", s.WatchAt, guarded, guarded},
		{"check", s.CheckAt, asked && !s.Checking, asked && !s.Checking},
		{"end of a check", s.CheckEnd, s.CheckPID != 0 && !w.probe.killed, s.CheckPID != 0},
		{"stage", s.StageAt, len(s.Stages) > 0, len(s.Stages) > 0},
		{"kill", s.KillAt, s.Phase == event.PhaseStopping && w.set.TimeoutKill != 0 && !w.main.killed, s.Role == Run},
		{"finish", s.FinishAt, s.Role == Finish && limit && !w.main.killed, s.Role == Finish},
		{"script", s.ScriptAt, s.ScriptPID != 0 && limit && !w.script.killed, s.ScriptPID != 0},
		{"clear", s.ClearAt, s.Clearing, s.Clearing},
		{"age", s.AgeAt, ages, ages},
		{"end of file", s.EOFAt, hungUp, w.owed.eof && s.Leaving},
	} {
		if timer.must && timer.at == 0 {
			w.fail("has no time for %s", timer.name)
		}
		if timer.at != 0 && (!timer.may || s.Deadline() == 0 || s.Deadline() > timer.at) {
			w.fail("has a time for %s, and it means nothing", timer.name)
		}
	}
}
