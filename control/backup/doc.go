// Package backup writes the reference data of a cluster to one file and puts it back.
//
// The file is a zip archive, because a person can look into one with tools that are everywhere (unzip -p FILE links.jsonl |
// head), because its directory stands at the end, so that a file which was cut off is never taken for a whole one, and because
// it is written without knowing its size. In it are
//
//	brands.jsonl …  one file for each reference table, one row a line: a JSON object of the columns that are not empty
//	manifest.json   what the file is: see Manifest
//	manifest.hmac   its signature, see Signer: without the cluster secret nobody alters a row unseen
//
// Only the newest row of each object is kept, deleted ones among them, since their numbers must not be given out again. Secrets
// are in it only as the keys table has them, sealed under the cluster secret, in base64; the secret itself is not, so that the
// file alone opens nothing. Visitor keys are left out: with an old one at hand, visitor hashes of the days since could be tied
// to addresses again. Tokens are there as their hashes.
//
// A backup is of one moment. Take copies the tables while nobody writes, which is quick because the copies share their data
// with the tables; writing the file then takes as long as it takes.
//
// A File is checked as a whole by its Verify and Trust. Restore then fills tables in a database of their own, and only then
// replaces the cluster's tables, parents first, links last. That database is there for as long as a restore is not complete: a
// control process does not start meanwhile (see Unfinished), and running the restore again does all of it anew. Restored rows get
// new versions, above all that were ever given out, so that nodes which still know the old world read everything again.
package backup
