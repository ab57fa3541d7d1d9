//go:build !linux

package supervise

import "errors"

// memoryFile is Linux's.
func memoryFile() (int, error) { return -1, errors.ErrUnsupported }
