//go:build !linux

package monitor

// A watch would tell which services' files have changed; here HUP and each start do.
type watch struct{ hints chan string }

func newWatch() *watch { return &watch{} }

func (w *watch) close() {}

func (w *watch) add(string, string) {}

func (w *watch) remove(string) {}
