package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"carom/control/sheet"
)

// ErrPrecondition is wrapped by the refusal to change an object that is no longer what the caller has seen.
var ErrPrecondition = errors.New("the object has changed")

// An ETag is the version of an object's own row, which a change is compared with, and a checksum of all that is told of
// the object, which may change without it: a link's state with its campaign's.
func etagOf(version uint64, told object) (string, error) {
	text, err := json.Marshal(told)
	if err != nil {
		return "", err
	}
	sum := fnv.New64a()
	_, _ = sum.Write(text) // never fails
	return fmt.Sprintf(`"%d-%x"`, version, sum.Sum64()), nil
}

// etags are those of a header If-Match or If-None-Match. Compression by a proxy makes them weak, which is no other version.
func etags(header string) (list []string) {
	for tag := range strings.SplitSeq(header, ",") {
		list = append(list, strings.TrimPrefix(strings.TrimSpace(tag), "W/"))
	}
	return list
}

// anyETag is one that every object has.
const anyETag = "*"

// matchVersion refuses a change unless an If-Match, where there is one, names the version that is stored.
func matchVersion(header string, version uint64) error {
	if header == "" {
		return nil
	}
	for _, tag := range etags(header) {
		seen, _, _ := strings.Cut(strings.Trim(tag, `"`), "-")
		if tag == anyETag || seen == strconv.FormatUint(version, 10) {
			return nil
		}
	}
	return fmt.Errorf("%w since the ETag %s was given out: it is of version %d now; get it again", ErrPrecondition, sheet.Shorten(header, maxNameQuote), version)
}

// matchETag reports whether an If-None-Match names etag: the caller has what it asks for.
func matchETag(header, etag string) bool {
	if header == "" {
		return false
	}
	for _, tag := range etags(header) {
		if tag == anyETag || tag == etag {
			return true
		}
	}
	return false
}
