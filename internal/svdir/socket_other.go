//go:build !linux

package svdir

// shortAddress is Linux's: elsewhere /dev/fd does not lead on to what is in a directory.
func shortAddress(string) (string, func(), error) { return "", nil, ErrSocketLong }
