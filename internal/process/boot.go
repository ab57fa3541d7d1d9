package process

import "strings"

// bootSeparator comes before what tells one life of a container from another, in a boot id.
const bootSeparator = "+"

// SameBoot reports that two boot ids are of one boot, as far as that can be told: process 1 may be hidden from who
// asks now, or have been.
func SameBoot(a, b string) bool {
	kernelA, lifeA, _ := strings.Cut(a, bootSeparator)
	kernelB, lifeB, _ := strings.Cut(b, bootSeparator)
	return kernelA == kernelB && (lifeA == lifeB || lifeA == "" || lifeB == "")
}
