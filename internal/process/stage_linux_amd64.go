package process

// stageEntry is the program's entry point when it is linked with
// -E vigil/internal/process.stageEntry: it is RunStage without Go's runtime, and starts the runtime
// for everything but a stage. Nothing may call it.
func stageEntry() //nolint:unused // the linker uses it
