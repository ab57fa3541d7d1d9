package cli

// Version is the suite's version; a release sets it with -ldflags.
var Version = "0.1.0"

// VersionLine is what a program prints when it is asked for its version.
func VersionLine(program string) string { return program + " (vigil) " + Version + "\n" }
