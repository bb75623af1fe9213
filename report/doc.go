// Package report answers report queries: finished numbers for a span of days, grouped as asked, read from the facts
// views of the schema, and written as a table for people, as CSV or as JSON.
//
// A query walks down these files: query.go reads and checks what the caller asked for, definition.go knows each report,
// sql.go writes the statement, reports.go runs it, table.go and encode.go write the answer, api.go serves it over HTTP.
//
// The views report_* give a row per day (utm: hour) with distinct visitors counted within it. Those counts do not add
// up, so a report over many days merges their states instead: its unique is right for every row and for the totals.
package report
