//go:build !linux

package scan

import (
	"errors"
	"fmt"
)

// A logWatch is not here: that a log was taken away is seen by the next look at everything.
type logWatch struct{ told chan int32 }

func openLogWatch() (*logWatch, error) {
	return nil, fmt.Errorf("a watch of single entries: %w", errors.ErrUnsupported)
}

func (*logWatch) add(string) (int32, error) { return 0, errors.ErrUnsupported }
func (*logWatch) remove(int32)              {}
func (*logWatch) close()                    {}
