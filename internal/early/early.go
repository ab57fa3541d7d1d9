// Package early does the plainest calls of svstat and svc before Go's runtime has started, whose start takes longer
// than all the rest of them. Those that need any thought it leaves to main, as if it had not been there.
//
// It is linux/amd64 only, and only where the linker has been told to begin here: -E vigil/internal/early.svstat. Its
// code may not allocate, panic, start a goroutine, or read a variable whose value is not a constant.
package early
