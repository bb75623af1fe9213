// Package control is the one writer of Carom's reference data: brands, domains, influencers, campaigns, links, commission
// rules, posts, keys and tokens.
//
// ClickHouse has no sequences, no unique keys and no compare-and-set, so everything that needs them happens here, in one
// process, under one lock; package lease sees to it that it is one process (leader.go). Follow an import: api.go takes a file, package sheet
// reads its lines, import.go turns them into rows with the columns that one file per kind lists (brands.go … links.go),
// number.go numbers the new rows, version.go gives the chunk its version, audit.go puts it between two accounts of who did it,
// store.go writes it. An object of the API goes the same way (objectapi.go, objectrequest.go, resource.go): object.go turns it
// into the record that a file with a column for each of its fields would hold. Edges poll the tables for higher versions and never talk to control.
//
// What the cells of an import file mean, beside what their names say:
//
//   - keys that people write have 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first; creators and
//     hosts are known to all brands, campaigns and links to theirs
//   - a time is RFC 3339, or a day, which means its first moment in UTC; ends and expires are the first moment that is out
//   - true, yes and 1 are true, false, no and 0 false, in any case
//   - a slug is in lower case, and a path in capitals is never its; it is unique on its host, and not a word that visitors, browsers
//     or operators take for something else (slugs.go); lines of one part of a file may hand slugs on, in any order
//   - coupons are kept and compared in upper case: shops report them as their customers typed them
//   - money is in the brand's currency, with no more decimals than that has
//   - commission rules are told apart by campaign, creator, tier, event, start and what they pay for (an event, a click, once)
package control
