package event

// Own reports that the suite itself writes events of this kind, so that users' own need another.
func (k Kind) Own() bool {
	switch k {
	case Added, Removed, ScanError, SuperviseDied,
		Supervised, Adopted, Waiting, Starting, Up, Ready, Unready, Stopping, Killed, Exited, Finished, Backoff,
		Flapping, Failed, Leftover, Down, Paused, Resumed, Reloaded, Command, Config, Unsupervised,
		Sample, RuleBad, RuleGood, RuleUnknown, Action,
		Watch, Hello, State, Synced, Gap, Error, Did, Answer:
		return true
	}
	return false
}

// Aside reports that events of this kind are told to those who ask for them by name, and only now: they
// have no seq, and are in no journal.
func (k Kind) Aside() bool { return k == Sample || k == Watch }
