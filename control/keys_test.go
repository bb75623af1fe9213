package control_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carom/control"
	"carom/redirect"
)

// secretOf opens a stored key as an edge would.
func (w *world) secretOf(brand uint32, kind redirect.KeyKind, id string) []byte {
	w.t.Helper()
	sealer, err := redirect.NewSealer([]byte(clusterSecret))
	if err != nil {
		w.t.Fatal(err)
	}
	sealed := one[string](w, "SELECT sealed FROM keys FINAL WHERE brand_id = ? AND kind = ? AND key_id = ?", brand, string(kind), id)
	secret, err := sealer.Open(kind, brand, id, []byte(sealed))
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

func TestFirstStartMakesTheClusterKeys(t *testing.T) {
	w := newWorld(t)
	if n := len(w.secretOf(0, redirect.KeyClickID, "1")); n != 16 {
		t.Errorf("click-id key of %d bytes", n)
	}
	visitor := w.secretOf(0, redirect.KeyVisitor, "2026-03-10")
	if len(visitor) != redirect.VisitorKeyLen {
		t.Errorf("visitor key of %d bytes", len(visitor))
	}
	w.restart()
	if !bytes.Equal(w.secretOf(0, redirect.KeyVisitor, "2026-03-10"), visitor) || one[uint64](w, "SELECT count() FROM keys") != 2 {
		t.Error("a restart made new keys")
	}
}

func TestStartNeedsTheSecretThatSealedTheKeys(t *testing.T) {
	w := newWorld(t)
	cfg := control.DefaultConfig()
	cfg.Conn, cfg.ClusterSecret = w.db.Conn, []byte("short")
	if _, err := control.New(cfg); err == nil {
		t.Error("New takes a secret that is too short")
	}
	cfg.ClusterSecret = []byte(strings.ToUpper(clusterSecret))
	other, err := control.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Stop()
	if err := other.Start(t.Context()); !errors.Is(err, redirect.ErrSealed) {
		t.Errorf("Start with another secret: %v", err)
	}
}

func TestVisitorKeyTurnsWithTheDayAndLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	first := w.secretOf(0, redirect.KeyVisitor, "2026-03-10")
	w.Stop()
	w.now = day0.AddDate(0, 0, 3)
	w.start()
	deadline := time.Now().Add(10 * time.Second)
	for one[string](w, "SELECT arrayStringConcat(groupArray(key_id), ' ') FROM keys WHERE kind = 'visitor'") != "2026-03-13" {
		if time.Now().After(deadline) {
			t.Fatal("three days later the table does not hold the key of that day alone")
		}
		time.Sleep(20 * time.Millisecond)
	}
	want := redirect.NextVisitorKey(redirect.NextVisitorKey(redirect.NextVisitorKey(first)))
	if !bytes.Equal(w.secretOf(0, redirect.KeyVisitor, "2026-03-13"), want) {
		t.Error("the key is not the one that edges derive")
	}
	w.restart()
	if n := one[uint64](w, "SELECT count() FROM keys WHERE kind = 'visitor'"); n != 1 {
		t.Errorf("%d visitor keys after a restart, want 1", n)
	}
}

func TestRotationKeepsCodesUntilTheirKeyIsRetired(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	ctx, all := t.Context(), control.LocalScope()
	const header = "link,domain,campaign,influencer"
	mint := func(link string) control.LinkDetail {
		t.Helper()
		w.load("links", header, link+",go.acme.example,boots,lena")
		return w.show(link)
	}
	codes := map[string]string{}
	for slot := range redirect.KeySlots {
		link := fmt.Sprintf("l%d", slot)
		codes[link] = mint(link).Code
		code, _ := redirect.ParseCode([]byte(codes[link]))
		key := redirect.NewCodeKey(w.secretOf(1, redirect.KeyCode, strconv.Itoa(slot)), "go.acme.example")
		if int(code.KeyID()) != slot || !code.Verify(&key) {
			t.Errorf("link %s has code %s of slot %d, want %d, verified by that slot's key", link, codes[link], code.KeyID(), slot)
		}
		_, secret, err := w.RotateKey(ctx, all, "acme", redirect.KeyCode)
		if last := slot == redirect.KeySlots-1; last != errors.Is(err, control.ErrNoSlot) || !last && err != nil {
			t.Fatalf("rotation %d: %v", slot+1, err)
		}
		if secret != "" {
			t.Error("a signing secret is shown")
		}
	}
	for link, code := range codes {
		if again := w.show(link).Code; again != code {
			t.Errorf("%s: code %s became %s by rotation", link, code, again)
		}
	}
	if _, err := w.RetireKey(ctx, all, "acme", redirect.KeyCode, "3"); !errors.Is(err, control.ErrKeyInUse) {
		t.Errorf("retire the active key: %v", err)
	}
	if _, err := w.RetireKey(ctx, all, "acme", redirect.KeyCode, "1"); err != nil {
		t.Fatal(err)
	}
	if got := w.show("l1"); got.Code != "" || got.ShortURL != "" {
		t.Errorf("a retired key still shows code %q, %q", got.Code, got.ShortURL)
	}
	if sealed := one[string](w, "SELECT sealed FROM keys FINAL WHERE brand_id = 1 AND key_id = '1'"); sealed != "" {
		t.Error("the secret of a retired key is kept")
	}
	key, _, err := w.RotateKey(ctx, all, "acme", redirect.KeyCode)
	if err != nil || key.ID != "1" {
		t.Fatalf("rotation after a retirement: slot %q, %v; want the free slot 1", key.ID, err)
	}
	w.restart()
	if code, _ := redirect.ParseCode([]byte(mint("l4").Code)); code.KeyID() != 1 {
		t.Errorf("minted with slot %d, want the active 1", code.KeyID())
	}
	if again := w.show("l0").Code; again != codes["l0"] {
		t.Errorf("code of l0 is %s after a restart, was %s", again, codes["l0"])
	}
}

func (w *world) show(link string) control.LinkDetail {
	w.t.Helper()
	detail, err := w.Link(w.t.Context(), control.LocalScope(), "", link)
	if err != nil {
		w.t.Fatal(err)
	}
	return detail
}

func TestPostbackKeysStandSideBySide(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	ctx, all := t.Context(), control.LocalScope()
	first, secret, err := w.NewKey(ctx, all, "acme", redirect.KeyPostback)
	if err != nil || first.ID != "1" {
		t.Fatalf("%+v, %v", first, err)
	}
	if stored := w.secretOf(1, redirect.KeyPostback, "1"); string(stored) != secret || len(secret) < 40 {
		t.Errorf("the printed text is not the stored key, or is short: %d characters", len(secret))
	}
	if second, _, err := w.NewKey(ctx, all, "acme", redirect.KeyPostback); err != nil || second.ID != "2" {
		t.Fatalf("%+v, %v", second, err)
	}
	if third, _, err := w.RotateKey(ctx, all, "acme", redirect.KeyPostback); err != nil || third.ID != "3" {
		t.Fatalf("%+v, %v", third, err)
	}
	if _, err := w.RetireKey(ctx, all, "acme", redirect.KeyPostback, "1"); err != nil {
		t.Fatal(err)
	}
	keys, err := w.Keys(all, "acme", redirect.KeyPostback)
	if err != nil {
		t.Fatal(err)
	}
	var states []control.KeyState
	for _, key := range keys {
		states = append(states, key.State)
	}
	if got, want := fmt.Sprint(states), "[retired verify active]"; got != want {
		t.Errorf("states %s, want %s", got, want)
	}
	if listed := fmt.Sprintf("%+v", keys); strings.Contains(listed, secret) {
		t.Error("the list shows a secret")
	}
}

// A brand cannot make nodes try keys without end on each forged postback; a retired one makes room.
func TestKeysWithoutSlotsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	ctx, all := t.Context(), control.LocalScope()
	var refused error
	made := 0
	for ; made < 100 && refused == nil; made++ {
		_, _, refused = w.NewKey(ctx, all, "acme", redirect.KeyPostback)
	}
	if !errors.Is(refused, control.ErrManyKeys) {
		t.Fatalf("after %d postback keys: %v, want ErrManyKeys", made, refused)
	}
	if _, _, err := w.RotateKey(ctx, all, "acme", redirect.KeyPostback); !errors.Is(err, control.ErrManyKeys) {
		t.Errorf("rotation to one more: %v, want ErrManyKeys", err)
	}
	if _, _, err := w.NewKey(ctx, all, "other", redirect.KeyPostback); err != nil {
		t.Errorf("another brand's key: %v", err)
	}
	if _, err := w.RetireKey(ctx, all, "acme", redirect.KeyPostback, "1"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.NewKey(ctx, all, "acme", redirect.KeyPostback); err != nil {
		t.Errorf("in the place of a retired one: %v", err)
	}
}

// A key of each kind is made before it is needed, takes over, gives way again and is retired; each step has its date.
func TestKeysTakeOver(t *testing.T) {
	for _, kind := range []struct {
		redirect.KeyKind
		brand         string
		first, second string // ids
		fresh         control.KeyState
	}{
		{redirect.KeyCode, "acme", "0", "1", control.KeyVerify},
		{redirect.KeyPostback, "acme", "1", "2", control.KeyActive},
		{redirect.KeyClickID, "", "1", "2", control.KeyVerify},
	} {
		t.Run(string(kind.KeyKind), func(t *testing.T) {
			w := newWorld(t)
			w.loadBasics()
			ctx, all := t.Context(), control.LocalScope()
			if kind.KeyKind == redirect.KeyPostback { // of the other kinds the first is there
				if _, _, err := w.NewKey(ctx, all, kind.brand, kind.KeyKind); err != nil {
					t.Fatal(err)
				}
			}
			// step is one change; states are what the keys are then, the first and the second.
			step := func(why string, key control.Key, err error, want control.Key, states ...control.KeyState) {
				t.Helper()
				want.Brand, want.Kind, want.Created, want.Changed = kind.brand, kind.KeyKind, key.Created, w.now
				if want.State == control.KeyRetired {
					want.Retired = &w.now
				}
				if diff := cmp.Diff(want, key); diff != "" || err != nil {
					t.Errorf("%s: %v\n%s", why, err, diff)
				}
				keys, err := w.Keys(all, "", kind.KeyKind)
				var got []control.KeyState
				for _, k := range keys {
					got = append(got, k.State)
				}
				if !slices.Equal(got, states) || err != nil {
					t.Errorf("%s: keys are %v, want %v; %v", why, got, states, err)
				}
				w.now = w.now.Add(time.Hour)
			}
			key, _, err := w.NewKey(ctx, all, kind.brand, kind.KeyKind)
			step("made", key, err, control.Key{ID: kind.second, State: kind.fresh}, control.KeyActive, kind.fresh)
			key, err = w.ActivateKey(ctx, all, kind.brand, kind.KeyKind, kind.second)
			step("takes over", key, err, control.Key{ID: kind.second, State: control.KeyActive}, control.KeyVerify, control.KeyActive)
			if again, err := w.ActivateKey(ctx, all, kind.brand, kind.KeyKind, kind.second); err != nil || !cmp.Equal(again, key) {
				t.Errorf("taking over twice: %+v, %v", again, err)
			}
			key, err = w.ActivateKey(ctx, all, kind.brand, kind.KeyKind, kind.first)
			step("gives way", key, err, control.Key{ID: kind.first, State: control.KeyActive}, control.KeyActive, control.KeyVerify)
			retired, err := w.RetireKey(ctx, all, kind.brand, kind.KeyKind, kind.second)
			step("is retired", retired.Key, err, control.Key{ID: kind.second, State: control.KeyRetired}, control.KeyActive, control.KeyRetired)
			if _, err := w.ActivateKey(ctx, all, kind.brand, kind.KeyKind, kind.second); !errors.Is(err, control.ErrKeyRetired) {
				t.Errorf("a retired key takes over: %v", err)
			}
		})
	}
}

// What is made before its time counts for nothing new: links are minted with the active key, and all four slots can be prepared.
func TestPreparedSigningKeysDoNotMint(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	slot := func(link string) uint8 {
		t.Helper()
		w.load("links", "link,domain,campaign,influencer", link+",go.acme.example,boots,lena")
		code, parsed := redirect.ParseCode([]byte(w.show(link).Code))
		if !parsed {
			t.Fatalf("%s has no code", link)
		}
		return code.KeyID()
	}
	for range redirect.KeySlots - 1 {
		if _, _, err := w.NewKey(t.Context(), control.LocalScope(), "acme", redirect.KeyCode); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := w.NewKey(t.Context(), control.LocalScope(), "acme", redirect.KeyCode); !errors.Is(err, control.ErrNoSlot) {
		t.Errorf("a fifth key: %v", err)
	}
	if got := slot("a"); got != 0 {
		t.Errorf("minted with slot %d before it has taken over", got)
	}
	if _, err := w.ActivateKey(t.Context(), control.LocalScope(), "acme", redirect.KeyCode, "2"); err != nil {
		t.Fatal(err)
	}
	if got := slot("b"); got != 2 {
		t.Errorf("minted with slot %d, want the active 2", got)
	}
}
