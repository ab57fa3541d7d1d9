// Package control is the vocabulary of a supervise's control FIFO: one byte is one command.
//
// The letters are those of daemontools, runit and s6, which agree wherever they overlap; the last
// column of the table names the suites that have each one.
package control

// A Command is one byte of the control FIFO.
type Command byte

// The commands. A byte that is none of these is ignored.
const (
	Up        Command = 'u'
	Down      Command = 'd'
	Once      Command = 'o'
	Exit      Command = 'x'
	Pause     Command = 'p'
	Continue  Command = 'c'
	Hangup    Command = 'h'
	Alarm     Command = 'a'
	Interrupt Command = 'i'
	Quit      Command = 'q'
	User1     Command = '1'
	User2     Command = '2'
	Term      Command = 't'
	Kill      Command = 'k'
	Abort     Command = 'b'
	Winch     Command = 'y'
	Restart   Command = 'r'
	Reload    Command = 'l'
	NoRestart Command = 'O'
	Disable   Command = 'D'
	Enable    Command = 'U'
	Retire    Command = 'Q'
	Upgrade   Command = 'G'
)

// An Entry says everything that is known of one command.
type Entry struct {
	Command Command
	Word    string // what svc, requests on control.sock and `command` events call it
	Signal  Signal // what it sends to the service; "" if it is more than a signal
	Help    string // one line for usage texts
}

// Entries are all commands, in the order in which usage texts show them.
var Entries = []Entry{
	{Up, "up", "", "start it, and restart it when it dies"},
	{Down, "down", "", "stop it, and leave it down"},
	{Once, "once", "", "start it, and leave it down when it dies"},
	{Exit, "exit", "", "supervise exits once the service is down"},
	{Pause, "pause", "STOP", "send it a STOP signal"},
	{Continue, "cont", "CONT", "send it a CONT signal"},
	{Hangup, "hup", "HUP", "send it a HUP signal"},
	{Alarm, "alarm", "ALRM", "send it an ALRM signal"},
	{Interrupt, "interrupt", "INT", "send it an INT signal"},
	{Quit, "quit", "QUIT", "send it a QUIT signal"},
	{User1, "usr1", "USR1", "send it a USR1 signal"},
	{User2, "usr2", "USR2", "send it a USR2 signal"},
	{Term, "term", "TERM", "send it a TERM signal"},
	{Kill, "kill", "KILL", "send it a KILL signal"},
	{Abort, "abort", "ABRT", "send it an ABRT signal"},
	{Winch, "winch", "WINCH", "send it a WINCH signal"},
	{Restart, "restart", "", "send its down-signal, so that it is restarted"},
	{Reload, "reload", "", "run its reload program, or send its reload-signal"},
	{NoRestart, "no-restart", "", "do not restart it when it dies"},
	{Disable, "disable", "", "make its down file, and stop it"},
	{Enable, "enable", "", "remove its down file, and start it"},
	{Retire, "retire", "", "make its down file, and do not restart it"},
	{Upgrade, "upgrade", "", "supervise replaces itself by its new binary"},
}

// Lookup returns the entry of the command c.
func Lookup(c Command) (Entry, bool) {
	for _, e := range Entries {
		if e.Command == c {
			return e, true
		}
	}
	return Entry{}, false
}

// ByWord returns the command that word names: one of Entries, or one of the other suites' words
// for it (start, stop, continue, usr1 as 1, …).
func ByWord(word string) (Command, bool) {
	for _, e := range Entries {
		if e.Word == word {
			return e.Command, true
		}
	}
	switch word {
	case "start":
		return Up, true
	case "stop":
		return Down, true
	case "continue":
		return Continue, true
	case "1":
		return User1, true
	case "2":
		return User2, true
	}
	return 0, false
}

// String is the command's word.
func (c Command) String() string {
	if e, ok := Lookup(c); ok {
		return e.Word
	}
	return "unknown command " + string(rune(c))
}

// Tried begins the reason of an Upgrade whose sender has tried the new binary: what follows names the
// file that it was, by process.FileID. supervise tries any other itself.
const Tried = "tried "

// reasonMark is set in each byte of a reason that travels before a command.
const reasonMark = 0x80

// MaxReason is the length in bytes of the longest reason that can travel with a command.
const MaxReason = 255

// Encode returns what is written, in one write, to a control FIFO: the commands, and before each
// of them the reason, if there is one, as ASCII with the highest bit set. Other suites'
// supervises ignore the bytes of a reason. What is not ASCII becomes '?', and what is longer than
// MaxReason is cut.
func Encode(why string, commands ...Command) []byte {
	var out []byte
	for _, c := range commands {
		for i := 0; i < len(why) && i < MaxReason; i++ {
			out = append(out, printable(why[i])|reasonMark)
		}
		out = append(out, byte(c))
	}
	return out
}

// printable is b, or a question mark for what is no printable ASCII: whoever may write to the FIFO
// may send anything as a reason, and people read it on their terminals.
func printable(b byte) byte {
	if b < 0x20 || b >= 0x7f {
		return '?'
	}
	return b
}

// A Decoder turns the bytes of a control FIFO back into commands. The zero value is ready.
type Decoder struct{ reason []byte }

// Next takes one byte. It reports the command that the byte completes, with its reason, or false
// for a byte of a reason and for one that is no command.
func (d *Decoder) Next(b byte) (c Command, why string, ok bool) {
	if b&reasonMark != 0 {
		if len(d.reason) < MaxReason {
			d.reason = append(d.reason, printable(b&^reasonMark))
		}
		return 0, "", false
	}
	why = string(d.reason)
	d.reason = d.reason[:0]
	if _, known := Lookup(Command(b)); !known {
		return 0, "", false
	}
	return Command(b), why, true
}

// IsHalf reports that a reason has begun, and may go on.
func (d *Decoder) IsHalf() bool { return 0 < len(d.reason) && len(d.reason) < MaxReason }
