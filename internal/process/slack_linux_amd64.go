package process

// textEntry is the program's entry point when it is linked with -E vigil/internal/process.textEntry: it maps all of
// the text, for who is started often, and goes on as slackEntry. Nothing may call it.
func textEntry() //nolint:unused // the linker uses it

// slackEntry is that of the hub: it gives the runtime's threads a slack of their own, and starts the runtime. Whoever
// starts other programs has to give it back to them.
func slackEntry() //nolint:unused // the linker uses it

// quietEntry is that of svmon, and where slackEntry goes on: with the build tag quiet, it keeps the
// runtime from waking up every minute to see whether it has collected garbage within the last two.
func quietEntry() //nolint:unused // the linker uses it
