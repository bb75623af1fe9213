package ingest

import "testing"

func TestLanguage(t *testing.T) {
	for accept, want := range map[string]string{
		"en":                           "en",
		"en-US,en;q=0.9":               "en",
		"de-DE,de;q=0.9,en;q=0.8":      "de",
		"DE":                           "de",
		"zh-Hant-TW":                   "zh",
		"pt_BR":                        "pt", // some apps write locales
		"fil-PH":                       "fil",
		"haw":                          "haw",
		"  fr ; q=0.5":                 "fr",
		"\ten":                         "en",
		"zz":                           "zz",
		"aa,ab":                        "aa",
		"zzz":                          "zzz",
		"":                             "",
		"*":                            "",
		"*,en":                         "",
		"e":                            "",
		"engl":                         "",
		"english":                      "",
		"i-klingon":                    "",
		"x-private":                    "",
		"en\x00":                       "",
		"\xff\xfe":                     "",
		"é":                            "",
		"e1":                           "",
		"@@":                           "", // next to the letters once the case bit is set
		"1,en":                         "",
		"en\r\nX-Forwarded-For: 1.1.1": "",
	} {
		if got := Language([]byte(accept)); got != want {
			t.Errorf("Language(%q) = %q, want %q", accept, got, want)
		}
	}
}

func FuzzLanguage(f *testing.F) {
	for _, accept := range []string{"en-US,en;q=0.9", "fil", "*", "", "zz-", "\xff", "[[", "{{"} {
		f.Add([]byte(accept))
	}
	f.Fuzz(func(t *testing.T, accept []byte) {
		got := Language(accept)
		if len(got) != 0 && len(got) != 2 && len(got) != 3 {
			t.Errorf("%q gives %q", accept, got)
		}
		for _, c := range []byte(got) {
			if c < 'a' || c > 'z' {
				t.Errorf("%q gives %q", accept, got)
			}
		}
		if again := Language([]byte(got)); again != got {
			t.Errorf("%q gives %q, which gives %q", accept, got, again)
		}
	})
}
