package machine

import (
	"slices"
	"strings"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/svdir"
)

// commanded carries out one byte of the control FIFO.
func (t *step) commanded(c Commanded) {
	entry, known := control.Lookup(c.Command)
	if !known {
		return
	}
	if c.Why != "" || !t.Asked || ends(c.Command) {
		t.Why = c.Why // the reason of a command before it says nothing about this one
	}
	switch c.Command { //nolint:exhaustive // the default is a signal, as the entry says
	case control.Up:
		t.up(WantUp)
	case control.Once:
		t.up(WantOnce)
	case control.Down:
		t.down()
	case control.Exit:
		t.exit()
	case control.NoRestart:
		t.noRestart()
	case control.Disable:
		t.do(SetDown{true})
		t.down()
	case control.Enable:
		t.do(SetDown{false})
		t.up(WantUp)
	case control.Retire:
		t.do(SetDown{true})
		t.noRestart()
	case control.Restart:
		if t.Role == Run {
			t.stop(c.Command)
		}
	case control.Reload:
		t.reload()
	case control.Upgrade:
		if c.Tried {
			t.do(Upgrade{})
			break
		}
		t.run(Job{Program: svdir.Supervise, Before: control.Upgrade})
	default:
		if t.Role == Run {
			t.ask(Job{Program: svdir.Control + "/" + string(rune(c.Command)), Before: c.Command})
		}
	}
	t.tellCommand(entry, c.Why)
}

// ends reports that a command is meant to end run.
func ends(c control.Command) bool {
	return slices.Contains([]control.Command{
		control.Down, control.Disable, control.Restart, control.Term, control.Kill,
	}, c)
}

// tellCommand tells of a command before what it led to, but after the signals that it sent: what
// is told has been done.
func (t *step) tellCommand(entry control.Entry, why string) {
	tell := Tell{t.event(event.Record{Event: event.Command, Command: entry.Word, Why: why})}
	first := slices.IndexFunc(t.actions, func(a Action) bool {
		_, isTell := a.(Tell)
		return isTell
	})
	if first < 0 {
		first = len(t.actions)
	}
	t.actions = slices.Insert[[]Action, Action](t.actions, first, tell)
}

// stay takes an exit back, as runit does on up and down.
func (t *step) stay() {
	if t.Runit {
		t.Leaving, t.EOFAt = false, 0
	}
}

func (t *step) up(want Want) {
	t.stay()
	if t.Leaving {
		return
	}
	t.Want = want
	t.pardon()
	if t.Role != NoRole || t.Phase == event.PhaseStarting || t.Phase == event.PhaseFinishing {
		return
	}
	t.Phase, t.NextAt = event.PhaseDown, 0
	if t.Job.Program == svdir.Control+"/u" {
		return // the start under way will see the new want
	}
	t.ask(Job{Program: svdir.Control + "/u", Before: control.Up})
}

func (t *step) down() {
	t.stay()
	t.goDown(control.Down)
}

// goDown stops run, or cancels what would start it.
func (t *step) goDown(c control.Command) {
	t.Want = WantDown
	t.pardon()
	switch {
	case t.Role == Run || t.Phase == event.PhaseStarting:
		t.stop(c)
	case t.Phase == event.PhaseFinishing:
	case t.Phase != event.PhaseDown, t.Ready:
		t.Phase, t.NextAt, t.Ready = event.PhaseDown, 0, false
		t.tell(event.Record{Event: event.Down, Exit: t.Exit})
	}
}

func (t *step) exit() {
	t.Leaving = true
	if t.Logger {
		t.do(CloseInput{})
	}
	if t.Runit {
		t.goDown(control.Exit)
	}
	t.leaveIfDown()
}

// leaveIfDown ends supervise if nothing runs that would have to end first.
func (t *step) leaveIfDown() {
	if t.Leaving && !t.has(svdir.PostStop, 0) && t.Role == NoRole && t.Phase != event.PhaseStarting && t.Phase != event.PhaseFinishing {
		t.Phase, t.NextAt = event.PhaseDown, 0
		t.leave()
	}
}

func (t *step) hungUp() {
	if t.Logger && t.EOFAt == 0 { // a second one gives no more time
		t.EOFAt = t.after(t.set.TimeoutFinish)
	}
	t.tell(event.Record{Event: event.Command, Command: control.Exit.String(), Why: "shutdown"})
	t.exit()
}

func (t *step) noRestart() {
	if t.Role == Run || t.Phase == event.PhaseStarting {
		t.Want = WantOnce
		return
	}
	t.goDown(control.Down)
}

func (t *step) reload() {
	if t.Role != Run {
		return
	}
	if t.set.Reload {
		t.run(Job{Program: svdir.Reload, Before: control.Reload, Run: t.Starts})
		return
	}
	t.do(Signal{PID: t.PID, Signal: t.set.ReloadSignal})
	t.Sent = t.set.ReloadSignal
	t.tell(event.Record{Event: event.Reloaded, Signal: string(t.set.ReloadSignal)})
}

// stop begins a stop: control/t may stand for its signals.
func (t *step) stop(c control.Command) {
	first := t.Phase != event.PhaseStopping
	t.Asked, t.Phase = true, event.PhaseStopping
	t.ReadyAt, t.ReadyBy, t.FollowAt, t.Told = 0, 0, 0, false
	t.endCheck()
	if t.KillAt == 0 {
		t.KillAt, t.KillIn = t.after(t.set.TimeoutKill), t.set.TimeoutKill
	}
	t.signalStop(c)
	if first {
		t.tell(event.Record{Event: event.Stopping, Why: t.Why})
	}
}

// dueKill reports that a stop has had its time. Where timeout-kill has become longer meanwhile, it has that much more; where
// it is gone, all of it.
func (t *step) dueKill() bool {
	at := t.KillAt
	if !t.due(&t.KillAt) || t.Role != Run {
		return false
	}
	if t.set.TimeoutKill == 0 {
		t.KillIn = 0
		return false
	}
	if later := at + t.set.TimeoutKill - t.KillIn; t.KillIn != 0 && later > t.at.Mono {
		t.KillAt, t.KillIn = later, t.set.TimeoutKill
		return false
	}
	return true
}

// ask runs a control program before the signal of a command, if there is one.
func (t *step) ask(j Job) {
	j.Run = t.Starts
	letter := strings.TrimPrefix(j.Program, svdir.Control+"/")
	if !strings.Contains(t.set.Control, letter) {
		t.jobDone(j, false)
		return
	}
	t.run(j)
}

// run starts a script, or lets it wait for the one before. What stands for a signal, and waits already, need not wait
// twice: it is as with a signal that is pending.
func (t *step) run(j Job) {
	if t.Job.Program != "" {
		if !j.isOfSignal() || !slices.Contains(t.Queue, j) {
			t.Queue = append(slices.Clone(t.Queue), j)
		}
		return
	}
	if t.Job = j; j.Before == control.Upgrade {
		t.do(Try{})
		return
	}
	t.do(Spawn{Role: Script, Program: "./" + j.Program})
}

// jobDone does what a script has not done.
func (t *step) jobDone(j Job, handled bool) {
	isOfRun := !slices.Contains([]control.Command{control.Up, control.Upgrade, toStart, hasStopped}, j.Before)
	if isOfRun && j.Run != t.Starts {
		return // the run that it was about has ended meanwhile
	}
	switch j.Before { //nolint:exhaustive // the default is a signal
	case 0:
	case toStart:
		t.prepared(handled)
	case toStop:
		if t.Role == Run {
			t.ask(Job{Program: svdir.Control + "/t", Before: j.Then})
		}
	case hasStopped:
		t.leaveIfDown()
	case control.Upgrade:
		t.upgrade(handled)
	case control.Up:
		if t.Want != WantDown && t.Role == NoRole && t.Phase == event.PhaseDown {
			t.start()
		}
	case control.Reload:
		reason := ""
		if !handled {
			reason = "./reload failed"
		}
		t.tell(event.Record{Event: event.Reloaded, Reason: reason})
	case control.Down, control.Exit, control.Restart:
		t.sendStop(handled)
		if after := string(rune(j.Before)); j.Before != control.Restart && strings.Contains(t.set.Control, after) {
			t.run(Job{Program: svdir.Control + "/" + after})
		}
	default:
		t.send(j.Before, handled)
	}
}

// upgrade follows a try of the new binary.
func (t *step) upgrade(possible bool) {
	if possible {
		t.endCheck() // nobody would wait for it
		t.do(Upgrade{})
		return
	}
	t.tell(event.Record{Event: event.Config, File: svdir.Supervise, Reason: "the new binary cannot take over; the old one goes on"})
}

// sendStop sends a stop's signals. A stopped process must be continued to take the first of them;
// CONT goes before it, so that its handlers run in this order.
func (t *step) sendStop(handled bool) {
	if t.Role != Run {
		return
	}
	t.Paused = false
	t.Term = true
	t.do(Signal{PID: t.PID, Signal: "CONT"})
	if handled {
		return
	}
	t.Stages = t.set.DownSignal
	t.sendStage()
}

// sendStage sends the next signal of a stop, and sets the time of the one after it.
func (t *step) sendStage() {
	if len(t.Stages) == 0 || t.Role != Run {
		return
	}
	stage := t.Stages[0]
	t.Stages = t.Stages[1:]
	t.do(Signal{t.PID, stage.Signal, stage.Scope})
	t.Sent = stage.Signal
	t.StageAt = 0
	if len(t.Stages) > 0 {
		t.StageAt = max(1, t.after(t.Stages[0].Delay))
	}
}

// send sends the signal of a command, unless a script stood for it.
func (t *step) send(c control.Command, handled bool) {
	entry, _ := control.Lookup(c)
	if t.Role == Run && !handled {
		t.do(Signal{PID: t.PID, Signal: entry.Signal})
	}
	switch c { //nolint:exhaustive // the others are signals and nothing more
	case control.Pause:
		t.pause(true)
	case control.Continue:
		t.pause(false)
	case control.Term, control.Kill:
		if t.Role == Run {
			t.Asked, t.Term = true, t.Term || c == control.Term
		}
	default:
		t.Sent = entry.Signal
	}
}

func (t *step) pause(paused bool) {
	if t.Role != Run || t.Paused == paused {
		return
	}
	t.Paused = paused
	kind := event.Resumed
	if paused {
		kind = event.Paused
	}
	t.tell(event.Record{Event: kind})
}
