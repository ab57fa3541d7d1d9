package machine

import (
	"slices"
	"strconv"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// start starts run.
func (t *step) start() {
	if t.Role != NoRole || t.Phase == event.PhaseStarting {
		return
	}
	if t.NextAt, t.Ready = 0, false; t.waits() {
		return
	}
	t.Phase, t.Prepared = event.PhaseStarting, false
	t.StartedAt = t.at.Mono
	t.do(Spawn{Role: Run, Program: "./" + svdir.Run})
}

func (t *step) staged(s Staged) {
	switch s.Role {
	case Run:
		t.Role, t.PID, t.Start, t.Released = Run, s.PID, s.Start, false
		t.RunPID = s.PID
		if t.Fork = NoFork; t.set.Forks.On {
			t.Fork = Launcher
		}
		t.Starts++
		t.Asked, t.Sent, t.Why = false, "", ""
		t.Since = t.at.Wall
		t.do(Release{s.PID, t.event(event.Record{Event: event.Starting})})
		return
	case Finish:
		t.Role, t.PID, t.Start, t.Released = Finish, s.PID, s.Start, false
		t.FinishAt = t.after(t.set.TimeoutFinish)
		t.do(Record{})
	case Script:
		t.ScriptPID = s.PID
		t.ScriptAt = t.after(t.set.TimeoutFinish)
		if t.Job.Before == control.Upgrade {
			t.ScriptAt = t.after(tryTime)
		}
	case Check:
		t.CheckPID, t.CheckEnd = s.PID, t.after(t.set.CheckTimeout)
	case NoRole:
	}
	t.do(Release{PID: s.PID})
}

func (t *step) ran(r Ran) {
	if r.Role != t.Role || t.Released {
		return
	}
	if t.Released = true; r.Role == Finish {
		t.do(Record{})
		return
	}
	if t.Fork == Launcher {
		if t.Phase == event.PhaseStarting {
			t.ReadyBy = t.after(t.set.TimeoutReady)
		}
		t.do(Record{})
		return
	}
	if t.Phase == event.PhaseStarting {
		t.Phase = event.PhaseUp
		t.awaitReady()
	}
	t.tell(event.Record{Event: event.Up})
	t.do(Notify{"u"})
}

func (t *step) notRun(n NotRun) {
	if n.Role != Check {
		t.do(Warn{n.Reason})
	}
	switch n.Role {
	case Script:
		t.scriptDone(false)
	case Check:
		t.checked(false)
	case Finish:
		t.forget()
		t.Phase = event.PhaseDown
		t.settle(false)
	case Run:
		t.refuse(svdir.Run, n.Reason)
	case NoRole:
	}
}

// tryTime is how long a new binary of supervise may take to say that it can take over.
const tryTime = 5 * time.Second

// forget clears what belongs to a process that is over.
func (t *step) forget() {
	t.Role, t.PID, t.Start, t.Released = NoRole, 0, 0, false
	t.Paused, t.Term, t.Ready = false, false, false
	t.Fork, t.Told, t.ForkedAt, t.FollowAt = NoFork, false, 0, 0
	t.ReadySince, t.StatusText = time.Time{}, ""
	t.Stages = nil
	t.ReadyAt, t.ReadyBy, t.StageAt, t.KillAt, t.KillIn, t.FinishAt = 0, 0, 0, 0, 0, 0
}

// exitNoExec is how a stage ends that was not released, or whose exec failed.
const exitNoExec = 111

// neverRan reports that a process ended as a stage, its program not having run. supervise may be
// killed between a release and its record, so that how the process ended is what tells. Where
// nobody knows that, a death of a run is told, as unknown: it is not to be missed.
func neverRan(e event.Exit) bool {
	return e.Ended && !e.Unknown && e.Signal == "" && e.Code == exitNoExec
}

func (t *step) died(d Died) {
	switch {
	case d.PID == 0:
		t.helperDied(d)
	case d.PID == t.CheckPID:
		t.checked(d.Exit.OK())
	case d.PID == t.ScriptPID:
		t.scriptDone(d.Exit.OK())
	case d.PID != t.PID:
		t.helperDied(d)
	case t.Role == Run && !t.Released && neverRan(d.Exit):
		t.forget() // a stage whose supervise was killed: there is no death
		t.Phase, t.Asked = event.PhaseDown, true
		if t.Want == WantOnce && !t.Leaving {
			t.start() // it has not had its once
			return
		}
		t.settle(false)
	case t.Role == Run && t.inherits(d.Exit, d.Heir):
		t.follow(d.Heir)
	case t.Role == Run:
		t.runDied(d)
	case t.Role == Finish:
		t.forget()
		t.Phase = event.PhaseDown
		t.tell(event.Record{Event: event.Finished, PID: d.PID, Exit: d.Exit})
		t.left(d.Leftover)
		t.settle(d.Exit.Ended && !d.Exit.Unknown && d.Exit.Signal == "" && d.Exit.Code == exitForGood)
	}
}

func (t *step) runDied(d Died) {
	t.Exit = d.Exit
	t.Lived = max(0, t.at.Mono-t.StartedAt)
	t.Why = t.reason()
	t.countDeath()
	t.forget()
	t.endCheck()
	t.Since = t.at.Wall
	t.left(d.Leftover)
	t.do(Tally{d.Exit})
	exited := event.Record{
		Event: event.Exited, PID: d.PID, Exit: d.Exit, Why: t.Why, Lived: t.Lived, Deaths: t.Deaths,
	}
	if t.set.Finish {
		t.Phase = event.PhaseFinishing
		t.tell(exited)
		t.tellLeftover()
		t.do(Notify{"d"})
		t.finish()
		return
	}
	t.Phase = event.PhaseDown
	if wait := t.wait(); wait > 0 && t.startsAgain() {
		t.Phase, exited.Next = event.PhaseBackoff, wait
	}
	t.tell(exited)
	t.tellLeftover()
	t.settleAfter("d", false)
}

// left notes what lives of run's helpers. One that was followed may have made a group of its own after it was found.
func (t *step) left(l Leftover) {
	if t.Leftover = l; l.Group != 0 {
		t.RunPID = l.Group
	}
}

func (t *step) tellLeftover() {
	if len(t.Leftover.PIDs) > 0 {
		t.tell(event.Record{Event: event.Leftover, PIDs: t.Leftover.PIDs})
	}
}

// helperDied is the death of a process that run has left behind.
func (t *step) helperDied(d Died) {
	t.left(d.Leftover)
	switch {
	case t.Clearing:
		t.settle(t.ForGood)
	case t.Phase == event.PhaseWaiting && len(t.Leftover.PIDs) == 0:
		t.start()
	case t.Phase == event.PhaseStarting && t.Fork == Any && d.Heir.Named:
		t.follow(d.Heir)
	case t.Phase == event.PhaseStarting && t.Fork == Any && t.FollowAt == 0:
		t.lookAgain()
	}
}

// clearEvery is how often it is looked whether a process group is empty: the death of its last member
// is told, but not that of one whose parent never waits for it.
const clearEvery = time.Second

// clear kills what is left of run's process group, and reports that there is something to wait for.
func (t *step) clear(forGood bool) bool {
	first := !t.Clearing
	t.Clearing = t.set.Leftover == settings.Kill && t.Leftover.Group != 0
	t.ForGood, t.ClearAt = forGood && t.Clearing, 0
	if !t.Clearing {
		return false
	}
	if forGood {
		t.Want = WantDown
	}
	t.Phase, t.ClearAt = event.PhaseFinishing, t.after(clearEvery)
	t.do(Signal{t.RunPID, "KILL", settings.Group})
	if first {
		t.tell(event.Record{Event: event.Killed, PIDs: t.Leftover.PIDs, Signal: "KILL", Why: settings.Leftover})
	}
	return true
}

// reason says why run died.
func (t *step) reason() string {
	switch {
	case t.Asked && t.Why != "":
		return t.Why
	case t.Asked:
		return "operator"
	case t.Sent != "" && t.Exit.Signal == string(t.Sent):
		t.Asked = true
		return t.reason()
	case t.Exit.OK():
		return "exit"
	}
	return "crash"
}

// finish starts finish, if there is one.
func (t *step) finish() {
	if !t.set.Finish {
		t.Phase = event.PhaseDown
		t.settle(false)
		return
	}
	t.Phase = event.PhaseFinishing
	t.do(Spawn{Finish, "./" + svdir.Finish, t.finishArgs()})
}

// finishArgs are finish's arguments: EXIT, SIGNAL, NAME, PGID.
func (t *step) finishArgs() []string {
	code, signal := t.Exit.Code, 0
	if t.Exit.Signal != "" {
		code, signal = -1, control.Signal(t.Exit.Signal).Number()
	}
	if t.Exit.Unknown {
		code = -1
	}
	return []string{strconv.Itoa(code), strconv.Itoa(signal), t.Name, strconv.Itoa(t.RunPID)}
}

// settle goes on after the death of run and the end of finish.
func (t *step) settle(forGood bool) { t.settleAfter("", forGood) }

// settleAfter is settle; the fifodir is still to be told the bytes before, in the same write.
func (t *step) settleAfter(before string, forGood bool) {
	if t.clear(forGood) {
		if before != "" {
			t.do(Notify{before})
		}
		return
	}
	switch {
	case t.Leaving:
		if t.Phase = event.PhaseDown; forGood {
			t.Want = WantDown
		}
		t.tell(event.Record{Event: event.Down, Exit: t.Exit})
		t.do(Notify{before + "D"})
		t.stopped()
		t.leaveIfDown()
	case forGood:
		t.fail(before, svdir.Finish)
	case t.Want != WantUp:
		t.Phase = event.PhaseDown
		t.tell(event.Record{Event: event.Down, Exit: t.Exit})
		t.do(Notify{before + "D"})
		t.stopped()
	case !t.restarts():
		t.over(before)
	case t.flaps():
		t.flapped(before)
	default:
		t.again(before + "D")
	}
}

// leave ends supervise. A service that runs goes on running.
func (t *step) leave() {
	t.endCheck()
	t.tell(event.Record{Event: event.Unsupervised})
	t.do(Notify{"x"}, Exit{})
}

func (t *step) ticked() {
	t.watch() // a setting that was removed when its time comes does not count
	if t.due(&t.NextAt) {
		t.start()
	}
	if t.due(&t.ReadyAt) {
		t.Released = true // one that was adopted as a stage is its program by now, or is about to end
		t.becomeReady()
	}
	if t.due(&t.ReadyBy) && t.Role == Run {
		t.late()
	}
	if t.due(&t.WatchAt) && t.Role == Run {
		t.restartFor(settings.Watchdog)
	}
	if t.due(&t.CheckAt) {
		t.startCheck()
	}
	if t.due(&t.CheckEnd) && t.CheckPID != 0 {
		t.kill(t.CheckPID, settings.CheckTimeout)
	}
	if t.due(&t.StageAt) {
		t.sendStage()
		t.do(Record{}) // so that it is not sent again
	}
	if t.dueKill() {
		t.Stages, t.StageAt = nil, 0
		t.kill(t.PID, settings.TimeoutKill)
	}
	if t.due(&t.FinishAt) && t.Role == Finish {
		t.kill(t.PID, settings.TimeoutFinish)
	}
	if t.due(&t.ScriptAt) && t.ScriptPID != 0 {
		t.kill(t.ScriptPID, settings.TimeoutFinish)
	}
	if t.due(&t.ClearAt) {
		t.do(Look{})
	}
	if t.due(&t.FollowAt) {
		t.do(Look{})
	}
	if t.due(&t.AgeAt) && t.Role == Run {
		t.restartFor(whyAge)
	}
	if t.due(&t.EOFAt) && t.Role == Run {
		t.Want = WantDown
		t.stop(control.Down)
	}
}

// kill ends a process that has used up its time, with its group.
func (t *step) kill(pid int, limit string) {
	t.do(Signal{pid, "KILL", settings.Group})
	t.tell(event.Record{Event: event.Killed, PID: pid, Signal: "KILL", Why: limit})
}

// scriptDone goes on after a control program: one that ended with 0 has done the command's work.
func (t *step) scriptDone(handled bool) {
	job := t.Job
	t.Job, t.ScriptPID, t.ScriptAt = Job{}, 0, 0
	t.do(Record{}) // what is sent instead is not sent again
	t.jobDone(job, handled)
	for len(t.Queue) > 0 && t.Job.Program == "" {
		next := t.Queue[0]
		t.Queue = slices.Clone(t.Queue[1:])
		t.run(next)
	}
}
