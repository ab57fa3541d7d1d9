//go:build !linux

package scan

import "os"

// reserve does nothing: these systems can only make a file longer.
func reserve(*os.File, int64) {}
