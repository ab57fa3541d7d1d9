package process

// slackEntry is the program's entry point when it is linked with
// -E vigil/internal/process.slackEntry: it gives the runtime's threads a slack of their own, maps all of its text, and
// starts the runtime. Nothing may call it.
func slackEntry() //nolint:unused // the linker uses it

// quietEntry is the entry point of the hub and svmon, and where slackEntry goes on: with the build tag quiet, it keeps the
// runtime from waking up every minute to see whether it has collected garbage within the last two.
func quietEntry() //nolint:unused // the linker uses it
