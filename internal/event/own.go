package event

// Own reports that the suite itself writes events of this kind, so that users' own need another.
func (k Kind) Own() bool {
	switch k {
	case Added, Removed, ScanError, SuperviseDied,
		Supervised, Adopted, Waiting, Starting, Up, Ready, Unready, Stopping, Killed, Exited, Finished, Backoff,
		Flapping, Failed, Leftover, Down, Paused, Resumed, Reloaded, Command, Config, Unsupervised,
		Hello, State, Synced, Gap, Error, Did, Answer:
		return true
	}
	return false
}
