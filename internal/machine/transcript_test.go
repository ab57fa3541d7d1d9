package machine

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
)

var update = flag.Bool("update", false, "rewrite the transcripts")

// TestTranscripts runs each testdata/*.txt: a line `> INPUT` is followed by the actions and the
// state that the machine answers with. Staged and Ran come by themselves, as from a runner that
// never fails, unless the script said `world by-hand`.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(b))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(b) {
				t.Errorf("%s: the machine answers\n%s", file, got)
			}
		})
	}
}

// A player is the world of one transcript.
type player struct {
	t      *testing.T
	state  State
	set    settings.Settings
	now    time.Duration
	pid    int
	byHand bool
	unmet  string
	bound  bool
	out    strings.Builder
}

func play(t *testing.T, script string) string {
	p := &player{t: t, set: settings.Default(), now: time.Hour, pid: 100}
	p.state.Name = "web"
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "> "):
			fmt.Fprintln(&p.out, line)
			p.input(strings.Fields(line[2:]))
		case strings.HasPrefix(line, "#"), line == "":
			fmt.Fprintln(&p.out, line)
		}
	}
	return p.out.String()
}

// input does one line of a script.
func (p *player) input(words []string) {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch words[0] {
	case "world":
		p.world(words[1:])
	case "wait":
		d, err := time.ParseDuration(arg(1))
		if err != nil {
			p.t.Fatal(err)
		}
		p.wait(d)
	case "began":
		p.began(words[1:])
	case "cmd":
		for _, c := range arg(1) {
			p.step(Commanded{Command: control.Command(c), Why: arg(2)})
		}
	case "tried":
		p.step(Commanded{Command: control.Upgrade, Tried: true})
	case "hup":
		p.step(HungUp{})
	case "int":
		p.step(Dismissed{})
	case "staged", "ran", "notrun":
		p.answer(words[0], map[string]Role{"run": Run, "finish": Finish, "script": Script, "check": Check}[arg(1)])
	case "needs":
		p.unmet = arg(1)
		p.step(NeedsChanged{})
	case "notified":
		n := Notified{}
		switch arg(1) {
		case "", "ready":
			n.Ready = true
		case "reloading":
			n.Reloading = true
		case "stopping":
			n.Stopping = true
		case "alive":
			n.Alive = true
		case "broken":
			n.Broken = true
		case "extend":
			n.Extend = time.Minute
		}
		p.step(n)
	case "died":
		pid := map[string]int{"main": p.state.PID, "script": p.state.ScriptPID, "check": p.state.CheckPID, "stranger": 7}[arg(1)]
		left := Leftover{Group: map[string]int{"group": p.state.RunPID, "regrouped": 77}[arg(3)]}
		heir := p.heir(arg(3))
		if arg(3) != "" && heir.PID == 0 {
			left.PIDs = []int{7}
		}
		p.step(Died{PID: pid, Exit: parseExit(arg(2)), Leftover: left, Heir: heir})
	case "look":
		p.step(Died{Heir: p.heir(arg(1))})
	default:
		p.t.Fatalf("unknown input %q", words)
	}
}

// heir is a process that may take run's place: the one of the pid file, or another; or the one that has.
func (p *player) heir(word string) Heir {
	pid := p.pid + 1
	switch word {
	case "heir", "named":
		p.pid++
	case "it":
		pid = p.state.PID
	default:
		return Heir{}
	}
	return Heir{PID: pid, Start: uint64(pid) * 10, Group: pid, Named: word != "heir"}
}

// world sets up what surrounds the machine.
func (p *player) world(words []string) {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "by-hand":
			p.byHand = true
		case "default":
			p.set = settings.Default()
		case "finish":
			p.set.Finish = true
		case "reload":
			p.set.Reload = true
		case "check":
			p.set.Check = true
		case "notify-socket":
			p.set.NotifySocket = true
		case "hooks":
			p.set.Hooks = settings.Hooks{PreStart: true, PostReady: true, PreStop: true, PostStop: true}
		case "unmet":
			p.unmet = value
		case "bind":
			p.bound = true
		case "forks":
			p.set.Forks = settings.Forks{On: true, PIDFile: value}
		case "control":
			p.set.Control = value
		case "runit":
			p.state.Runit = true
		case "logger":
			p.state.Logger = true
		case "stages":
			p.set.DownSignal = twoStages
		default:
			if err := p.set.Set(key, strings.ReplaceAll(value, "_", " ")); err != nil {
				p.t.Fatalf("world %q: %v", w, err)
			}
		}
	}
}

// wait lets time pass, with a tick at each deadline.
func (p *player) wait(d time.Duration) {
	end := p.now + d
	for {
		due := p.state.Deadline()
		if due == 0 || due > end {
			break
		}
		p.now = max(due, p.now)
		fmt.Fprintf(&p.out, "  at +%v\n", p.now-time.Hour)
		p.step(Ticked{})
	}
	p.now = end
}

func (p *player) began(words []string) {
	b := Began{}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "down":
			b.Down = true
		case "again": // killed here: a new supervise finds the record of the old one
			prior := event.Record{N: p.state.N, State: p.state.Phase, Ready: p.state.Ready, Paused: p.state.Paused}
			p.state.Fill(&prior)
			b.Prior, b.Resume = prior, true
			p.state = State{Name: p.state.Name, Runit: p.state.Runit, Logger: p.state.Logger}
		case "alive":
			b.Alive = true
		case "halted":
			b.Alive, b.Halted = true, true
		case "stage":
			b.Alive, b.Stage = true, true
		case "exit":
			b.Exit = parseExit(value)
		case "heir", "named":
			b.Heir = p.heir(key)
		default:
			p.t.Fatalf("unknown began %q", w)
		}
	}
	p.step(b)
}

func (p *player) answer(word string, role Role) {
	switch word {
	case "staged":
		p.pid++
		p.step(Staged{Role: role, PID: p.pid, Start: uint64(p.pid) * 10})
	case "ran":
		p.step(Ran{Role: role})
	case "notrun":
		p.step(NotRun{Role: role, Reason: "unable to start ./" + role.String() + ": access denied"})
	}
}

func parseExit(word string) event.Exit {
	if word == "unknown" {
		return event.Exit{Ended: true, Unknown: true}
	}
	if code, err := strconv.Atoi(word); err == nil {
		return event.Exit{Ended: true, Code: code}
	}
	return event.Exit{Ended: true, Signal: word}
}

func (p *player) step(w What) {
	var actions []Action
	at := Instant{Mono: p.now, Wall: time.Unix(0, 0).Add(p.now).UTC()}
	p.state, actions = p.state.Step(Input{At: at, Settings: p.set, Unmet: p.unmet, Lost: p.lost(), What: w})
	for _, a := range actions {
		fmt.Fprintf(&p.out, "  %s\n", describe(a))
	}
	fmt.Fprintf(&p.out, "  = %s\n", p.summary())
	if p.byHand {
		return
	}
	for _, a := range actions {
		switch a := a.(type) {
		case Spawn:
			p.answer("staged", a.Role)
		case Try:
			p.answer("staged", Script)
		case Release:
			role := Run
			switch {
			case a.PID == p.state.ScriptPID:
				role = Script
			case a.PID == p.state.CheckPID:
				role = Check
			case p.state.Role == Finish:
				role = Finish
			}
			p.answer("ran", role)
		default:
		}
	}
}

// lost is what is not ready, if the service is bound to it.
func (p *player) lost() string {
	if p.bound {
		return p.unmet
	}
	return ""
}

// describe is one action in a transcript.
func describe(a Action) string {
	switch a := a.(type) {
	case Tell:
		r := a.Record
		r.State, r.Ready, r.Paused = "", false, false
		line := strings.TrimSpace(string(r.Append(nil)))
		return "tell " + strings.NewReplacer(`{"v":1,`, "", `"`, "", "}", "").Replace(line)
	case Spawn:
		return fmt.Sprint("spawn ", a.Program, " ", strings.Join(a.Args, " "))
	case Release:
		if a.Record.Event != "" {
			return fmt.Sprint("release ", a.PID, " ", describe(Tell{a.Record}))
		}
		return fmt.Sprint("release ", a.PID)
	case Signal:
		return fmt.Sprint("signal ", a.PID, " ", a.Signal, []string{"", " group", " tree"}[a.Scope])
	case Notify:
		return "notify " + a.Bytes
	case Tally:
		return "tally"
	case Follow:
		return fmt.Sprint("follow ", a.PID)
	case SetDown:
		return fmt.Sprint("down file ", a.Down)
	case Warn:
		return "warn " + a.Text
	case Record, Serve, CloseInput, Look, Try, Upgrade, Exit:
		return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", a), "machine."))
	}
	return "?"
}

func (p *player) summary() string {
	s := p.state
	st := s.Status()
	out := fmt.Sprintf("%s want %s", s.Phase, s.Want)
	if s.PID != 0 {
		out += fmt.Sprintf(" %s %d", s.Role, s.PID)
	}
	for _, flag := range []struct {
		on   bool
		name string
	}{
		{s.Ready, "ready"},
		{s.Paused, "paused"},
		{s.Term, "term"},
		{s.Leaving, "leaving"},
		{s.ScriptPID != 0, "script"},
		{s.CheckPID != 0, "check"},
	} {
		if flag.on {
			out += " " + flag.name
		}
	}
	if d := s.Deadline(); d != 0 {
		out += fmt.Sprint(" due +", d-time.Hour)
	}
	return out + " | " + strings.TrimSpace(st.Text())
}
