// Package report answers report queries: finished numbers for a span of days, grouped as asked, read from the facts
// views of the schema, and written as a table for people, as CSV or as JSON.
//
// A query walks down these files: query.go reads and checks what the caller asked for, definition.go knows each report,
// sql.go writes the statement, reports.go runs it, table.go and encode.go write the answer, api.go serves it over HTTP.
//
// Whoever follows a link can make up UTM values, so rows are without number. An answer has the top of them and one row of others
// for each currency, merged by ClickHouse from the same states: top and others come to the totals. A page has rows only.
//
// The views report_* give a row per day (utm: hour) with distinct visitors counted within it. Those counts do not add
// up, so a report over many days merges their states instead: its unique is right for every row and for the totals.
//
// Money is exact to four digits, as ClickHouse holds it. CSV and JSON write all four. A table rounds each cell, totals
// included, to the minor unit of its currency, half up; a total is the rounded sum, not the sum of rounded cells. Ratios
// (roi, conversion_rate), earnings per click (epc) and hours have four digits everywhere.
//
// Conversions of another event, status or signature are never added together: a refund is not a sale. Their report is
// grouped by these three whatever else it is grouped by.
package report
