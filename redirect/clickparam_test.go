package redirect

import "testing"

func TestCheckClickIDParam(t *testing.T) {
	for name, want := range map[string]bool{
		"click_id": true, "cid": true, "subid": true, "aff_sub": true, "sub": true, "sub6": true, "sub12": true, "sub1x": true, "utm": true,
		"utmsource": true, "my_gclid": true,
		"": false, " ": false, "utm_source": false, "utm_id": false, "utm_": false, "utm_anything": false, "UTM_Source": false, "utm.source": false,
		"utm source": false, "utm[source": false, " utm_source": false, "sub1": false, "sub5": false, "SUB3": false, "gclid": false, "fbclid": false, "TTCLID": false,
	} {
		if err := CheckClickIDParam(name); (err == nil) != want {
			t.Errorf("%q: %v, want accepted %v", name, err, want)
		}
	}
}

func TestSetsParameter(t *testing.T) {
	for _, c := range []struct {
		destination, name string
		want              bool
	}{
		{"https://shop.example/", "ref", false},
		{"https://shop.example/?a=1&ref=x", "ref", true},
		{"https://shop.example/?ref", "ref", true},
		{"https://shop.example/?r%65f=x", "ref", true},
		{"https://shop.example/?REF=x", "ref", true},
		{"https://shop.example/?aff_sub=x", "aff.sub", true},
		{"https://shop.example/?ref[]=x", "ref", true},
		{"https://shop.example/?a=ref", "ref", false},
		{"https://shop.example/?reference=1", "ref", false},
		{"https://shop.example/#?ref=x", "ref", false},
		{"https://shop.example/ref?a=1#ref=x", "ref", false},
		{"https://shop.example/?&&", "ref", false},
	} {
		if got := SetsParameter(c.destination, c.name); got != c.want {
			t.Errorf("%s sets %s: %v, want %v", c.destination, c.name, got, c.want)
		}
	}
}
