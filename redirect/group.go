package redirect

import (
	"bytes"
	"fmt"
	"net/url"

	"carom/ingest"
	"carom/redirect/pages"
)

// groupKey is what tells one group from another.
type groupKey struct {
	brand, campaign, domain uint32
	keyID                   uint8
	format                  ingest.Format
}

// groupParent is a brand or a campaign whose change concerns groups.
type groupParent struct{ brand, campaign uint32 }

// maxGroup is the highest group number: what a link has room for.
const maxGroup = 1<<24 - 1

// group finds or makes the number of a group. The error is that there are too many.
func (b *Builder) group(k groupKey) (uint32, error) {
	b.compileGroups()
	if number, known := b.groupOf[k]; known {
		return number, nil
	}
	number := uint32(len(b.groupOf)) + 1
	if number > maxGroup {
		return 0, fmt.Errorf("campaigns, domains, keys and formats of links make more than %d combinations", maxGroup)
	}
	b.groupOf[k] = number
	g, _ := b.compile(k) // what is wrong with it is said of its links
	b.groups.Set(number, g)
	return number, nil
}

// compileGroups brings the groups of changed brands and campaigns up to date.
func (b *Builder) compileGroups() {
	if len(b.recompile) == 0 {
		return
	}
	for k, number := range b.groupOf {
		if !b.recompile[groupParent{brand: k.brand}] && !b.recompile[groupParent{campaign: k.campaign}] {
			continue
		}
		if g, _ := b.compile(k); !bytes.Equal(g, b.groups.At(number)) {
			b.groups.Set(number, g)
		}
	}
	for id, campaign := range b.campaigns {
		if b.recompile[groupParent{brand: campaign.Brand}] || b.recompile[groupParent{campaign: id}] {
			b.compileTemplate(campaign)
		}
	}
	clear(b.recompile)
}

// compileTemplate brings a campaign's template up to date.
func (b *Builder) compileTemplate(campaign Campaign) {
	g, _ := b.compile(groupKey{brand: campaign.Brand, campaign: campaign.ID}) // one that is no good answers nothing
	if !bytes.Equal(g, b.templates.At(campaign.ID)) {
		b.templates.Set(campaign.ID, g)
	}
}

// compile makes a group's record, and says what keeps links without parts of their own from being answered.
func (b *Builder) compile(k groupKey) (g group, err error) {
	brand, campaign := b.brands[k.brand], b.campaigns[k.campaign]
	if brand == nil || campaign.ID == 0 {
		return appendGroup(nil, k, 0, 0, 0, groupTexts{}), fmt.Errorf("%w: campaign %d or brand %d", ErrReference, k.campaign, k.brand)
	}
	flags := byte(groupKnown)
	if campaign.Enabled {
		flags |= groupEnabled
	}
	names := clickIDNames(campaign.ClickIDParam)
	x := groupTexts{clickParam: []byte(url.QueryEscape(campaign.ClickIDParam) + "="), clickIDNames: len(packNames(names))}
	destination, err := CheckDestination(campaign.Destination, brand.Policy)
	if err == nil {
		x.head = []byte(head(destination.URL, campaign.UTM, campaign.ClickIDParam))
		flags |= groupHead
	}
	for name := range queryNames(string(x.head)) {
		names = append(names, name)
	}
	for _, p := range campaign.UTM.parameters() {
		names = append(names, p.name)
	}
	x.names = packNames(names)
	tail, tailErr := compileTail(campaign.UTM, constants{brand.Key, campaign.Key, k.format.String()})
	if tailErr == nil {
		x.tail = tail
		flags |= groupTail
	}
	if len(x.clickParam) > maxText || len(x.head)+len(x.tail)+len(x.names) > pages.MaxItem-groupFixed-maxText {
		return appendGroup(nil, k, 0, 0, 0, groupTexts{}), fmt.Errorf("%w: its location does not fit a record", ErrDestination)
	}
	if err == nil {
		err = tailErr
	}
	return appendGroup(nil, k, unixOrZero(campaign.Starts), unixOrZero(campaign.Ends), flags, x), err
}
