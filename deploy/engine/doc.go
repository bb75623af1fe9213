// Package engine installs and runs the ClickHouse engine that Carom carries for one machine.
//
// The engine is the shared library of a pinned npm package, so it needs npm once and nothing else. [Install] fetches it,
// [Start] runs it in a child process of the caller's own executable and [Run] is what that child does. Three things hold:
//
//   - The child lives as long as the pipe on its standard input. A parent that is killed takes the engine with it, and an
//     interrupt typed at a terminal never reaches the engine, which would die of it uncleanly.
//   - One data directory has one owner. Two flocks tell a live owner from an engine that still shuts down after its owner
//     was killed: the first is refused at once with [ErrLocked], the second is waited for.
//   - Three users exist, each with a password: carom_admin, carom_edge and carom_analyst. The engine's own session is
//     the only one its passwordless user may hold.
//
// Where the package cannot be had, because the platform is another one, a clickhouse binary on PATH serves instead.
// The build tag edge leaves the engine out: the production edge binary stays static.
package engine
