package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"vigil/internal/cli"
)

// TestUsage: what is wrong with the arguments is said in a line, as all that goes to standard error.
func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":               "svmon serve|finish|top|samples|metrics|probe|notify, or svmon -t SCAN; svmon --help tells more",
		"watch":          `"watch" is no command; svmon --help tells more`,
		"probe":          "svmon probe LINE, which is one argument; svmon --help tells more",
		"probe tcp a:1":  "svmon probe LINE, which is one argument; svmon --help tells more",
		"probe ping":     `"ping": `,
		"notify a b":     "svmon notify [SCAN]",
		"metrics":        "svmon metrics [-i INTERVAL] FILE",
		"top --nonsense": "unknown flag: --nonsense",
	} {
		err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard)
		var usage cli.UsageError
		if !errors.As(err, &usage) || !strings.HasPrefix(string(usage), want) || strings.Contains(string(usage), "\n") {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}
