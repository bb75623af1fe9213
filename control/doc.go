// Package control is the one writer of Carom's reference data: brands, domains, influencers, campaigns, links, commission
// rules, posts, keys and tokens.
//
// ClickHouse has no sequences, no unique keys and no compare-and-set, so everything that needs them happens here, in one
// process, under one lock. Follow an import: api.go takes a file, csv.go reads its lines, import.go turns them into rows with
// the columns that one file per kind lists (brands.go … links.go), number.go numbers the new rows, version.go gives
// the chunk its version, store.go writes it. Edges poll the tables for higher versions and never talk to control.
package control
