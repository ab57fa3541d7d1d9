//go:build linux && race

package e2e

// raceEnabled says that this test was built with -race, and so are the commands.
const raceEnabled = true
