package machine

import (
	"slices"
	"time"

	"vigil/internal/event"
	"vigil/internal/settings"
)

// normalize makes worlds the same that differ in nothing that a decision depends on: counts that only grow,
// times, the numbers of processes that are gone, and what is only told.
func (w *world) normalize() {
	w.killed, w.acting = nil, nil
	if !w.gone && w.state.N != w.disk.N {
		w.fail("counts n %d, and has told %d", w.state.N, w.disk.N)
	}
	s, d := &w.state, &w.disk
	w.disk = event.Record{
		N: min(d.N, 1), Event: d.Event, State: d.State, Ready: d.Ready, Want: d.Want, PID: w.rename(d.PID),
		Program: d.Program, Released: d.Released, Leaving: d.Leaving, Todo: d.Todo, Pending: d.Pending, Group: w.rename(d.Group),
		Asked: d.Asked && (d.Program != "" || d.Todo == todoFinish), StartedAt: w.now, DueAt: w.ahead(d.DueAt),
		Term: d.Term && d.State == event.PhaseStopping, Stages: d.Stages, StageAt: w.ahead(d.StageAt),
		KillAt: w.ahead(d.KillAt), KillIn: d.KillIn, EOFAt: w.ahead(d.EOFAt), Clearing: d.Clearing, ForGood: d.ForGood,
		Flaps: w.recent(d.Flaps), Retries: min(d.Retries, w.set.Flap.Retries), Exit: w.verdict(d.Exit), Forked: d.Forked,
	}
	if d.Start != 0 {
		d.Start = uint64(d.PID) * 10
	}
	if d.Event != event.Unsupervised && d.Event != "" {
		d.Event = event.Up
	}
	s.Queue = slices.Clone(s.Queue)
	for i := range s.Queue {
		s.Queue[i] = w.job(s.Queue[i])
	}
	s.Job = w.job(s.Job)
	s.PID, s.RunPID, s.ScriptPID = w.rename(s.PID), w.rename(s.RunPID), w.rename(s.ScriptPID)
	s.CheckPID = w.rename(s.CheckPID)
	if s.Failures = min(s.Failures, w.set.CheckFailures); s.CheckPID == 0 || s.CheckRun == s.Starts {
		s.CheckRun = 1
	} else {
		s.CheckRun = 99
	}
	if s.Phase != event.PhaseWaiting {
		s.WaitsFor = ""
	}
	s.Probing = s.Probing && s.CheckPID != 0
	s.N, s.Start, s.Starts, s.Deaths = d.N, uint64(s.PID)*10, 1, 0
	w.main.pid, w.script.pid, w.probe.pid = w.rename(w.main.pid), w.rename(w.script.pid), w.rename(w.probe.pid)
	w.runs, w.pids, w.spawns, w.down = 0, 100, false, false
	for _, at := range deadlines(s) {
		*at = w.ahead(*at)
	}
	dying := s.Role != NoRole || s.Phase == event.PhaseFinishing
	s.Asked = s.Asked && dying
	if s.Lived >= w.set.Backoff.Clamp(s.Delay) && dying {
		s.Lived = long
	} else {
		s.Lived = 0
	}
	s.ForkedAt = 0
	s.StartedAt, s.Delay, s.Since, s.ReadySince = w.now, 0, time.Time{}, time.Time{}
	s.Flaps, s.Retries = w.recent(s.Flaps), min(s.Retries, w.set.Flap.Retries)
	s.Exit, s.Why, s.Sent, s.Paused = w.verdict(s.Exit), "", "", s.Paused && (w.set.Asks() || w.set.Watchdog != 0)
	s.Term = s.Term && s.Phase == event.PhaseStopping
	if s.Leftover.PIDs != nil && w.set.Leftover != settings.Keep {
		s.Leftover.PIDs, s.Leftover.Group = []int{stranger}, min(s.Leftover.Group, 1)*s.RunPID
	} else {
		s.Leftover = Leftover{}
	}
}

// recent are the deaths that are within the window of flap.
func (w *world) recent(deaths []time.Duration) []time.Duration {
	if !w.set.Flap.Hold {
		return nil // they are told, and no more
	}
	var list []time.Duration
	for _, at := range deaths {
		if at >= w.now-w.set.Flap.Window {
			list = append(list, w.now)
		}
	}
	return list
}

// verdict is an exit as far as it decides whether run is started again.
func (w *world) verdict(exit event.Exit) event.Exit {
	if w.set.Restart.When == settings.Always {
		return event.Exit{}
	}
	return event.Exit{Ended: exit.Ended, Code: int(bit(!exit.OK()))}
}

// rename gives a process the number of what it is. One that is gone has a number that nobody has.
func (w *world) rename(pid int) int {
	switch pid {
	case 0:
		return 0
	case w.main.pid:
		return 1
	case w.script.pid:
		return 2
	case w.probe.pid:
		return 3
	}
	return 99
}

// ahead is a deadline that has not come.
func (w *world) ahead(at time.Duration) time.Duration {
	if at == 0 {
		return 0
	}
	return w.now + long
}

// job is a script whose run is this one, or another.
func (w *world) job(j Job) Job {
	switch {
	case j.Program == "":
	case j.Run == w.state.Starts:
		j.Run = 1
	default:
		j.Run = 99
	}
	return j
}

// key is all of a normalized world that can differ in one walk.
func (w *world) key() string {
	s, d := &w.state, &w.disk
	b := make([]byte, 0, 160)
	for _, text := range []string{string(s.Phase), s.Job.Program, string(d.State), string(d.Event), d.Want, d.Program, d.Todo, d.Pending, d.Forked} {
		b = append(append(b, text...), 0)
	}
	for _, j := range append(slices.Clip(s.Queue), s.Job) {
		b = append(append(b, j.Program...), byte(j.Before), byte(j.Then), byte(j.Run))
	}
	b = append(append(b, 0, byte(w.fate.Code), bit(w.fate.Ended, w.fate.Unknown)), w.fate.Signal...)
	b = append(b, 0, byte(s.Want), byte(s.Role), byte(s.PID), byte(s.RunPID), byte(len(s.Stages)), byte(len(s.Leftover.PIDs)),
		byte(s.ScriptPID), byte(d.N), byte(d.PID), byte(d.Group), byte(s.Lived/long),
		byte(len(s.Flaps)), byte(len(d.Flaps)), byte(s.Retries), byte(d.Retries), byte(s.Exit.Code), byte(d.Exit.Code), bit(s.Exit.Ended, d.Exit.Ended))
	b = append(append(b, s.WaitsFor...), bit(w.unmet != ""))
	b = append(b, byte(s.CheckPID), byte(s.CheckRun), byte(s.Failures), bit(s.Probing, s.Paused, s.Prepared, s.Told), byte(s.Fork))
	for _, c := range []child{w.main, w.script, w.probe} {
		b = append(b, byte(c.pid), byte(c.role), byte(c.stage), bit(c.stopping, c.signaled, c.killed, c.known, c.ended, c.forked, c.named))
	}
	for _, p := range []promise{w.owed, w.kept} {
		b = append(append(b, p.asked...), byte(p.want), bit(p.leaving, p.eof, p.finish))
	}
	for _, at := range append(deadlines(s), &d.DueAt, &d.StageAt, &d.KillAt, &d.EOFAt) {
		b = append(b, bit(*at != 0))
	}
	return string(append(b, bit(w.gone, s.Leaving, s.Released, s.Asked, s.Ready, s.Clearing, s.ForGood, s.Leftover.Group != 0),
		bit(d.Ready, d.Released, d.Leaving, d.Asked, d.Term, d.Clearing, d.ForGood, s.Term), byte(d.Stages)))
}

// bit is a byte of claims.
func bit(claims ...bool) (b byte) {
	for i, claim := range claims {
		if claim {
			b |= 1 << i
		}
	}
	return b
}
