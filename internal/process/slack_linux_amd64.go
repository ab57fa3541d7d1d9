package process

// slackEntry is the program's entry point when it is linked with
// -E vigil/internal/process.slackEntry: it gives the runtime's threads a slack of their own, and starts it.
// Nothing may call it.
func slackEntry() //nolint:unused // the linker uses it
