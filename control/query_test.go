package control

import (
	"strings"
	"testing"
)

func TestCheckQuery(t *testing.T) {
	for raw, says := range map[string]string{
		"":                         "",
		"brand=nordic&limit=5":     "",
		"brand=":                   "",
		"by=day,campaign":          "",
		"brand=nordic%zz":          `invalid URL escape "%zz"`,
		"%zz=nordic":               `invalid URL escape "%zz"`,
		"brand=a%":                 `invalid URL escape "%"`,
		"order=gross;--":           "semicolon",
		"brand=a&brand=b":          `"brand" stands there 2 times`,
		"brand=a&br%61nd=a":        `"brand" stands there 2 times`,
		"b=1&b=1&a=1&a=1&a=1":      `"a" stands there 3 times`,
		strings.Repeat("k&", 2):    `"k" stands there 2 times`,
		"limit=1&brand=a&limit=%2": `invalid URL escape`,
	} {
		err := checkQuery(raw)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: error %v, want …%s…", raw, err, says)
		}
	}
	long := strings.Repeat("k", 1000)
	if err := checkQuery(long + "&" + long); err == nil || len(err.Error()) > 200 {
		t.Errorf("a long name twice: error %v", err)
	}
}
