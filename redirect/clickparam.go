package redirect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// defaultClickIDParam is the click-id parameter of a campaign that names none. An incoming one is never passed on.
const defaultClickIDParam = "click_id"

// adClickIDs are the parameters in which ad networks pass their own click ids, which Carom passes on.
var adClickIDs = [...]string{"gclid", "gbraid", "wbraid", "dclid", "fbclid", "ttclid", "msclkid"}

// CheckClickIDParam refuses a name that already means something else in a link: it is that of a campaign value, a sub id or an
// ad network's click id, or a shop may take it for one (see fold).
func CheckClickIDParam(name string) error {
	folded := string(fold([]byte(name)))
	sub, isSub := strings.CutPrefix(folded, "sub")
	switch {
	case folded == "":
		return errors.New("is empty")
	case strings.HasPrefix(folded, "utm_"):
		return errors.New("must not begin with utm_, which names a campaign value")
	case isSub && len(sub) == 1 && sub >= "1" && sub <= "5":
		return fmt.Errorf("must not be %s, which is a sub id that visitors bring", folded)
	case slices.Contains(adClickIDs[:], folded):
		return fmt.Errorf("must not be %s, which is an ad network's own click id", folded)
	}
	return nil
}

// SetsParameter reports whether a destination has a parameter in its query that a shop may take for name.
func SetsParameter(destination, name string) bool {
	packed := packNames([]string{name})
	for parameter := range queryNames(destination) {
		if readAsStored(packed, []byte(parameter)) {
			return true
		}
	}
	return false
}
