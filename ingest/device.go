package ingest

import (
	"strings"

	"github.com/mileusna/useragent"
)

// agentOther is the system, browser or device that is on no list.
const agentOther = "other"

// Browsers that the parser does not name.
const (
	inApp = "In-app" // an app shows the page in its own window
	silk  = "Silk"
)

// osNames are the systems by the name that the parser has for them.
var osNames = map[string]string{
	useragent.Android:      "Android",
	useragent.BlackBerry:   "BlackBerry",
	useragent.ChromeOS:     "ChromeOS",
	useragent.FreeBSD:      "FreeBSD",
	useragent.Harmony:      "HarmonyOS",
	useragent.IOS:          "iOS",
	useragent.Linux:        "Linux",
	useragent.MacOS:        "macOS",
	useragent.Windows:      "Windows",
	useragent.WindowsPhone: "Windows Phone",
}

// browserNames are the browsers by the name that the parser has for them; where it knows none it returns a token of
// the agent.
var browserNames = map[string]string{
	"Android browser":          "Android Browser",
	"Brave":                    "Brave",
	"Ddg":                      "DuckDuckGo",
	"DuckDuckGo":               "DuckDuckGo",
	"Focus":                    "Firefox",
	"HeyTapBrowser":            "HeyTap Browser",
	"Huawei Browser":           "Huawei Browser",
	"MQQBrowser":               "QQ Browser",
	"Mobile DuckDuckGo":        "DuckDuckGo",
	"Miui Browser":             "Miui Browser",
	"QQBrowser":                "QQ Browser",
	"UCBrowser":                "UC Browser",
	"VivoBrowser":              "Vivo Browser",
	"Whale":                    "Whale",
	"YaBrowser":                "Yandex Browser",
	"coc_coc_browser":          "Coc Coc",
	useragent.Chrome:           "Chrome",
	useragent.Edge:             "Edge",
	useragent.Firefox:          "Firefox",
	useragent.InternetExplorer: "Internet Explorer",
	useragent.Opera:            "Opera",
	useragent.OperaMini:        "Opera Mini",
	useragent.OperaTouch:       "Opera",
	useragent.Safari:           "Safari",
	useragent.SamsungBrowser:   "Samsung Browser",
	useragent.Vivaldi:          "Vivaldi",
}

// describe reads device, system and browser out of a browser's agent. app says that an app is known to show the page.
func describe(text string, app bool) (device, os, browser string) {
	parsed := useragent.Parse(text)
	os, browser = osNames[parsed.OS], browserNames[parsed.Name]
	if os == "" && strings.Contains(text, "iPod") {
		os = "iOS"
	}
	switch {
	case app, isWebView(text, os):
		browser = inApp
	case strings.Contains(text, "Silk/"): // the parser takes it for Safari
		browser = silk
	}
	return deviceOf(text, os), orOther(os), orOther(browser)
}

func orOther(name string) string {
	if name == "" {
		return agentOther
	}
	return name
}

// isWebView reports whether an app shows the page in its own window, also one that does not say which app it is:
// Android marks a web view with wv, on iOS only Safari and its like write Safari.
func isWebView(text, os string) bool {
	switch os {
	case "Android":
		return strings.Contains(text, "; wv)")
	case "iOS":
		return !strings.Contains(text, "Safari/")
	}
	return false
}

// tvTokens are televisions, the boxes and sticks that make one of a screen, and consoles.
var tvTokens = []string{
	"TV", "Web0S", "CrKey", "Roku", "AFTB", "AFTM", "AFTS", "AFTT", "BRAVIA", "PlayStation", "Xbox", "Nintendo",
}

func deviceOf(text, os string) string {
	switch {
	case containsAny(text, tvTokens...):
		return "tv"
	case containsAny(text, "iPad", "Tablet", "tablet", "Kindle"):
		return "tablet"
	case os == "Android":
		if containsAny(text, "Mobile", "Opera Mini", "Opera Mobi") || !strings.Contains(text, "Chrome/") {
			return "mobile"
		}
		return "tablet" // Chrome leaves the word Mobile out on tablets
	case os == "iOS", os == "HarmonyOS", os == "Windows Phone", os == "BlackBerry":
		return "mobile"
	case os == "Windows", os == "macOS", os == "Linux", os == "ChromeOS", os == "FreeBSD":
		return "desktop"
	case containsAny(text, "Mobile", "Nokia", "Opera Mini", "UCWEB/"):
		return "mobile"
	}
	return agentOther
}
