package ingest

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestReferrer(t *testing.T) {
	long := strings.Repeat("a", 63)
	for header, want := range map[string]struct{ host, platform string }{
		"":                                {"", ""}, // a direct visit
		"https://www.instagram.com/":      {"www.instagram.com", "instagram"},
		"https://l.instagram.com/?u=http": {"l.instagram.com", "instagram"},
		"https://www.threads.net/@a":      {"www.threads.net", "threads"},
		"https://l.threads.com/":          {"l.threads.com", "threads"},
		"https://lm.facebook.com/l.php?u": {"lm.facebook.com", "facebook"},
		"http://m.facebook.com":           {"m.facebook.com", "facebook"},
		"https://www.messenger.com/":      {"www.messenger.com", "messenger"},
		"https://www.tiktok.com/@creator": {"www.tiktok.com", "tiktok"},
		"https://vm.tiktok.com/ZM8":       {"vm.tiktok.com", "tiktok"},
		"https://www.youtube.com/":        {"www.youtube.com", "youtube"},
		"https://m.youtube.com/watch?v=1": {"m.youtube.com", "youtube"},
		"https://youtu.be/abc":            {"youtu.be", "youtube"},
		"https://t.co/AbC":                {"t.co", "x"},
		"https://x.com/":                  {"x.com", "x"},
		"https://mobile.twitter.com/a":    {"mobile.twitter.com", "x"},
		"https://www.pinterest.co.uk/":    {"www.pinterest.co.uk", "pinterest"},
		"https://www.snapchat.com/":       {"www.snapchat.com", "snapchat"},
		"https://out.reddit.com/":         {"out.reddit.com", "reddit"},
		"https://www.linkedin.com/feed/":  {"www.linkedin.com", "linkedin"},
		"https://lnkd.in/x":               {"lnkd.in", "linkedin"},
		"https://discord.com/channels/1":  {"discord.com", "discord"},
		"https://web.telegram.org/k/":     {"web.telegram.org", "telegram"},
		"https://t.me/channel":            {"t.me", "telegram"},
		"https://www.twitch.tv/a":         {"www.twitch.tv", "twitch"},
		"https://web.whatsapp.com/":       {"web.whatsapp.com", "whatsapp"},
		"https://linktr.ee/creator":       {"linktr.ee", "linktree"},
		"https://creator.substack.com/p":  {"creator.substack.com", "substack"},
		"https://bsky.app/profile/a":      {"bsky.app", "bluesky"},
		"https://m.vk.com/":               {"m.vk.com", "vk"},
		"https://www.google.com/":         {"www.google.com", "google"},
		"https://www.google.co.uk/":       {"www.google.co.uk", "google"},
		"https://www.bing.com/search?q=a": {"www.bing.com", "bing"},
		"https://duckduckgo.com/":         {"duckduckgo.com", "duckduckgo"},
		"https://news.ycombinator.com/":   {"news.ycombinator.com", "hacker-news"},
		"https://mail.google.com/mail":    {"mail.google.com", "gmail"},
		"https://blog.example.org/post":   {"blog.example.org", "other"},

		"android-app://com.instagram.android/":                       {"com.instagram.android", "instagram"},
		"android-app://com.zhiliaoapp.musically":                     {"com.zhiliaoapp.musically", "tiktok"},
		"android-app://com.google.android.googlequicksearchbox/http": {"com.google.android.googlequicksearchbox", "google"},
		"android-app://com.google.android.gm/":                       {"com.google.android.gm", "gmail"},
		"android-app://org.telegram.messenger/":                      {"org.telegram.messenger", "telegram"},

		// Odd and hostile.
		"HTTPS://WWW.TikTok.COM/":                           {"www.tiktok.com", "tiktok"},
		"https://www.tiktok.com:443/":                       {"www.tiktok.com", "tiktok"},
		"https://www.tiktok.com./":                          {"www.tiktok.com", "tiktok"},
		"https://user:pw@www.tiktok.com/":                   {"www.tiktok.com", "tiktok"},
		"https://tiktok.com@evil.example/":                  {"evil.example", "other"},
		"https://evil.example?https://x.com/":               {"evil.example", "other"},
		"https://evil.example#@x.com":                       {"evil.example", "other"},
		`https://evil.example\@x.com`:                       {"evil.example", "other"},
		"https://nottiktok.com/":                            {"nottiktok.com", "other"},
		"https://tiktok.com.evil.example/":                  {"tiktok.com.evil.example", "other"},
		"https://xn--bcher-kva.example/":                    {"xn--bcher-kva.example", "other"},
		"https://a_b.example/":                              {"a_b.example", "other"},
		"https://10.0.0.1/":                                 {"10.0.0.1", "other"},
		"https://" + long + ".example/":                     {long + ".example", "other"},
		"https://" + long + "a.example/":                    {"", ""},
		"https://" + strings.Repeat("a.", 127) + "example/": {"", ""},
		"https://bücher.example/":                           {"", ""},
		"https://[::1]:8080/":                               {"", ""},
		"https://a..b/":                                     {"", ""},
		"https://.a/":                                       {"", ""},
		"https://a../":                                      {"", ""},
		"https://a b/":                                      {"", ""},
		"https://a\x00b/":                                   {"", ""},
		"https://\xff\xfe/":                                 {"", ""},
		"https:///path":                                     {"", ""},
		"https://":                                          {"", ""},
		"https://@/":                                        {"", ""},
		"https://:80/":                                      {"", ""},
		"www.tiktok.com":                                    {"", ""},
		"about:blank":                                       {"", ""},
		"file:///etc/passwd":                                {"", ""},
		"javascript:alert(1)":                               {"", ""},
	} {
		referrers := NewReferrers()
		for range 2 { // parsed, then remembered
			if host, platform := referrers.Parse([]byte(header)); host != want.host || platform != want.platform {
				t.Errorf("Parse(%q) = %q, %q, want %q, %q", header, host, platform, want.host, want.platform)
			}
		}
	}
}

func TestReferrerIsKeptWhenTheHeaderIsOverwritten(t *testing.T) {
	referrers := NewReferrers()
	header := []byte("https://blog.example.org/post")
	host, _ := referrers.Parse(header)
	clear(header)
	referrers.Parse([]byte("https://other.example.org/post"))
	if host != "blog.example.org" {
		t.Errorf("became %q", host)
	}
}

func TestAgentAndReferrerShareNames(t *testing.T) {
	referrers, agents := NewReferrers(), newAgents(t)
	for header, agent := range map[string]string{
		"https://www.instagram.com/": webView + "Instagram 334.0.0.42.95 Android",
		"https://www.tiktok.com/":    webView + "musical_ly_2023400050",
		"https://t.co/":              webView + "TwitterAndroid",
		"https://m.facebook.com/":    webView + "[FB_IAB/FB4A;FBAV/468.1.0.56.78;]",
		"https://www.pinterest.com/": webView + "[Pinterest/Android]",
		"https://www.snapchat.com/":  webView + "Snapchat/12.90.0.46",
		"https://www.linkedin.com/":  webView + "[LinkedInApp]",
	} {
		_, platform := referrers.Parse([]byte(header))
		if got := agents.Parse([]byte(agent)).Platform; got != platform || got == "" {
			t.Errorf("agent says %q, referrer %q", got, platform)
		}
	}
}

// Whatever hosts come by, the small cache never answers for another one.
func TestReferrerCacheNeverMixesHosts(t *testing.T) {
	cached := NewReferrers()
	cached.known = newSetCache[*referrer](2)
	rapid.Check(t, func(t *rapid.T) {
		host := rapid.SampledFrom([]string{"a.example", "x.com", "www.tiktok.com", "b.example", "t.me", "c.example"}).Draw(t, "host")
		got, platform := cached.Parse([]byte("https://" + host + "/path"))
		if got != host || platform != cached.platform(host) {
			t.Fatalf("%q is remembered as %q, %q", host, got, platform)
		}
	})
}

func FuzzReferrer(f *testing.F) {
	for _, header := range []string{
		"https://www.tiktok.com/@a", "android-app://com.instagram.android/", "http://u:p@h.example:80/?q#f", "", "https://[::1]/",
		"https://\xff/", "HTTPS://A.B.", "https://a..b",
	} {
		f.Add([]byte(header))
	}
	referrers := NewReferrers()
	f.Fuzz(func(t *testing.T, header []byte) {
		host, platform := referrers.Parse(header)
		if (host == "") != (platform == "") {
			t.Errorf("%q: host %q with platform %q", header, host, platform)
		}
		if len(host) > maxReferrerHost || !utf8.ValidString(host) || host != strings.ToLower(host) {
			t.Errorf("%q: host %q", header, host)
		}
		if strings.ContainsAny(host, "/:@?#\\ \x00") || strings.HasPrefix(host, ".") || strings.HasSuffix(host, ".") {
			t.Errorf("%q: host %q", header, host)
		}
	})
}
