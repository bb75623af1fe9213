// Package sheet reads import files: tables as CSV, with a header whose columns a Layout allows. A Reader reads one record by
// record, a Cutter cuts one that is too long for one request into parts which a Reader understands, at the lines of the whole.
package sheet
