package geo

import (
	"fmt"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// A Kind is what a database file is used for.
type Kind string

// The kinds, as they label metrics.
const (
	KindCountry Kind = "country"
	KindCity    Kind = "city"
	KindASN     Kind = "asn"
)

// A decoder reads a record into what one kind of database is asked for; what else the file knows is left out, so that
// networks which differ only in that melt together.
type decoder func(maxminddb.Result) (Place, error)

// decoderFor picks the decoder by the type that a file names: "country ipvAll", "city ipv4" and the like are
// ip-location-db's flat records, everything else that names a country, a city or an autonomous system is in
// MaxMind's shape, as other publishers ("DBIP-City-Lite") use it too.
func decoderFor(databaseType string, kind Kind) (decoder, error) {
	name := strings.ToLower(databaseType)
	holds := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(name, word) {
				return true
			}
		}
		return false
	}
	suits := map[Kind]bool{
		KindCountry: holds("country", "city", "enterprise", "location"),
		KindCity:    holds("city", "enterprise", "location"),
		KindASN:     holds("asn", "isp"),
	}
	switch {
	case !suits[kind]:
		return nil, fmt.Errorf("%w: %q cannot serve as a %s database", ErrType, databaseType, kind)
	case kind == KindASN:
		return decodeSystem, nil
	}
	record := decodeMaxMind
	if strings.Contains(name, " ipv") {
		record = decodeFlat
	}
	if kind == KindCity {
		return record, nil
	}
	return func(result maxminddb.Result) (Place, error) {
		place, err := record(result)
		return Place{Country: place.Country}, err
	}, nil
}

func decodeFlat(result maxminddb.Result) (Place, error) {
	var record struct {
		Country string `maxminddb:"country_code"`
		Region  string `maxminddb:"state1"`
		City    string `maxminddb:"city"`
	}
	err := result.Decode(&record)
	return where(record.Country, record.Region, record.City), err
}

func decodeMaxMind(result maxminddb.Result) (Place, error) {
	type names struct {
		English string `maxminddb:"en"`
	}
	var record struct {
		Country struct {
			ISOCode string `maxminddb:"iso_code"`
		} `maxminddb:"country"`
		Regions []struct {
			ISOCode string `maxminddb:"iso_code"`
			Names   names  `maxminddb:"names"`
		} `maxminddb:"subdivisions"`
		City struct {
			Names names `maxminddb:"names"`
		} `maxminddb:"city"`
	}
	err := result.Decode(&record)
	var region string
	if len(record.Regions) > 0 {
		region = record.Regions[0].Names.English
		if region == "" {
			region = record.Regions[0].ISOCode
		}
	}
	return where(record.Country.ISOCode, region, record.City.Names.English), err
}

// decodeSystem reads the record of an autonomous system; both shapes share its keys.
func decodeSystem(result maxminddb.Result) (Place, error) {
	var record struct {
		Number uint32 `maxminddb:"autonomous_system_number"`
		Org    string `maxminddb:"autonomous_system_organization"`
	}
	if err := result.Decode(&record); err != nil || record.Number == 0 {
		return Place{}, err
	}
	return Place{ASN: record.Number, ASOrg: valid(record.Org)}, nil
}

// where makes a Place of a country code as files spell it: some write "None" or "-" for no country.
func where(country, region, city string) Place {
	country = strings.ToUpper(country)
	if len(country) != 2 || !isLetter(country[0]) || !isLetter(country[1]) || country == unknownCountry {
		return Place{}
	}
	return Place{Country: country, Region: valid(region), City: valid(city)}
}

// valid is s as it may be stored: what is not UTF-8 is replaced.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// unknownCountry is ISO 3166-1's user-assigned code that publishers write for "unknown".
const unknownCountry = "ZZ"

func isLetter(c byte) bool { return 'A' <= c && c <= 'Z' }
