package rule

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Codes are HTTP codes, in spans.
type Codes []struct{ first, last int }

// ParseCodes reads a list like 200,204,300-399, and reports false if it is none.
func ParseCodes(text string) (codes Codes, ok bool) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, isSpan := strings.Cut(part, "-")
		if !isSpan {
			last = first
		}
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA != nil || errB != nil || a < 100 || b > 999 || a > b {
			return nil, false
		}
		codes = append(codes, struct{ first, last int }{a, b})
	}
	return codes, true
}

// Has reports that the code is one of them.
func (c Codes) Has(code int) bool {
	for _, s := range c {
		if code >= s.first && code <= s.last {
			return true
		}
	}
	return false
}

// isAddress is true of HOST:PORT; the port may be the name of one.
func isAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || port == "" {
		return false
	}
	n, err := strconv.Atoi(port)
	return err != nil || n > 0 && n <= maxPort
}

const maxPort = 65535

// isURL is true of a URL that can be asked for.
func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		(u.Port() == "" || isAddress(u.Host))
}
