package cli

// Version is the suite's version; a release sets it with -ldflags.
var Version = "0.1.0"
