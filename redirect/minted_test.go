package redirect_test

import (
	"strings"
	"testing"
	"time"

	"carom/control"
)

// A self-contained link is answered from the moment it is minted, on a node that has not heard of it; once it has, the row counts.
func TestMintedTokenIsLiveAtOnce(t *testing.T) {
	w := newWorld(t)
	w.load("campaigns", "campaign,brand,name,destination,utm_source,utm_term\nspring,acme,Spring,https://shop.acme.example/boots,{platform},{link}\n")
	w.load("links", "link,campaign,influencer,domain\ntoken-2,spring,lena,go.acme.example\n") // takes a key of the next numbers
	w.refresh()
	expires := time.Now().Add(time.Hour)
	link, err := w.writer.MintToken(t.Context(), control.LocalScope(), control.TokenLinkRequest{
		Domain: "go.acme.example", Campaign: "spring", Influencer: "lena", Sub1: "bio link", Sub3: "a/b", Expires: &expires,
	})
	if err != nil {
		t.Fatal(err)
	}
	path, ours := strings.CutPrefix(link.URL, "https://go.acme.example/~")
	path = "/~" + path
	want := "302 https://shop.acme.example/boots?utm_source=instagram&utm_term=token-3&sub1=bio%20link&sub3=a%2Fb&"
	if !ours || link.Link.Link != "token-3" || !link.Expires.Equal(expires.Truncate(time.Second)) {
		t.Errorf("minted %+v", link)
	}
	w.want("/"+link.Code, "404")
	w.want(path, want)
	w.refresh()
	w.want("/"+link.Code, "302 https://shop.acme.example/boots?utm_source=instagram&utm_term=token-3&")
	w.want(path, want)
	w.wantProof("with the row", 1, 0)

	w.load("links", "link,campaign,influencer,domain,destination\ntoken-3,spring,lena,go.acme.example,https://own.acme.example/\n")
	w.refresh()
	w.want(path, "302 https://own.acme.example/?utm_source=instagram&utm_term=token-3&sub1=bio%20link&sub3=a%2Fb&")
	if _, err := w.writer.SetEnabled(t.Context(), control.LocalScope(), control.Target{Link: "token-3"}, false); err != nil {
		t.Fatal(err)
	}
	w.refresh()
	w.want(path, "410")
}
