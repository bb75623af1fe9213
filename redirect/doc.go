// Package redirect is the edge: it answers short links.
//
// The path of one click:
//
//	conn.go         its connection keeps the timeouts; yield.go: a busy one lets the others go first
//	server.go       a request arrives; panics and exhausted descriptors end nothing
//	request.go      its raw target and host become one spelling, or a 400
//	code.go         the code's MAC is checked under the host's key, before any lookup; token.go: a self-contained link's
//	table.go        the link's record is found by its number, in a frozen table behind an atomic pointer; link.go draws it
//	decide.go       who is asking, is the link live, and the Location: stored parameters, incoming ones, click id
//	                (clickid.go), fragment
//	ingest.PutClick copies what is kept into a ring, or counts the drop
//	answer.go       302
//
// After that the click is ingest's. A conversion takes postback.go instead. source.go keeps the table fresh from
// ClickHouse and proof.go shows that it is complete; when that is away, the last table stays, and a node that starts goes on from its snapshot (SNAPSHOT.md).
package redirect
