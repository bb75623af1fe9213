// Package lease decides which control process writes, and makes sure that it is one.
//
// ClickHouse has no compare-and-set, but it takes one insert of a deduplication token and drops the others. So who writes is a
// chain of terms in the table control_lease: whoever has seen term n inserts a row of its own for term n+1 under the token
// "term-<n+1>" and reads which row is there. The holder of the newest term is the one writer. It renews by claiming the next
// term, which fails once somebody else has it; it gives the lease back by a term that nobody holds.
//
// When one may claim: at once what is free, or what was given back; otherwise when no later term has appeared for as long as the
// newest row says, by the claimant's own monotonic clock from the moment it first saw that row; or at any moment, by hand. Nothing
// depends on clocks agreeing, and nothing but patience on clocks at all, since a holder cannot know that it still is one: it may be
// stopped for an hour between any two instructions. What keeps its late writes out is an order that holds on the server:
//
//	writer     announce the insert (the server lists it)  →  is the newest term mine?  →  send the rows
//	claimant   insert term n+1  →  cancel all announced inserts, wait for them  →  read what is stored
//
// Either the writer's question comes after the claim, then it sees the claim and sends nothing; or its insert was announced
// before, then the claimant finds it, and the server refuses rows of a cancelled insert however late they come. A cancelled insert
// that has all its rows ends within moments, one way or the other, and the claimant reads only then. (One that waits for a stopped
// writer stays listed; the claimant gives up waiting after Config.Settle. That is the one bound on time: a server that has
// the rows of an insert, goes on answering queries, and takes longer than that to end a cancelled insert would break it.)
//
// What is assumed of ClickHouse: an acknowledged insert and its token are remembered; all control processes of a database talk to
// one server. With replicas the table has to be a ReplicatedMergeTree like the rest, and the DSNs of all control processes
// have to name the same replica first: announced inserts are listed by the server that runs them.
package lease
