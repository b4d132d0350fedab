// Runs the official test suites of the Engine.IO and Socket.IO protocols three times against examples/protocol_echo,
// which listens on port 3000. Fails if a test that docs/decisions/protocol-suites.md does not list fails in two of the
// three runs.
//
// The suites are fetched at a fixed commit into target/suites, and are not part of this repository.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const SUITES = {
  'engine.io-protocol': 'f21de7b00ed09b3bbad2807db718ea5d6bc36aba',
  'socket.io-protocol': '4f633dd6a4445492d57af3b27ddd2d336014f1f1',
};
const ROUNDS = 3;
const known = readFileSync(new URL('../docs/decisions/protocol-suites.md', import.meta.url), 'utf8');

function fetchSuite(name, commit) {
  const folder = new URL(`../target/suites/${name}/`, import.meta.url).pathname;
  if (!existsSync(`${folder}test-suite/node_modules`)) {
    mkdirSync(folder, { recursive: true });
    const git = (...args) => execFileSync('git', ['-C', folder, ...args], { stdio: 'inherit' });
    git('init', '--quiet');
    git('fetch', '--quiet', '--depth', '1', `https://github.com/socketio/${name}.git`, commit);
    git('checkout', '--quiet', 'FETCH_HEAD');
    execFileSync('npm', ['install', '--no-audit', '--no-fund'], { cwd: `${folder}test-suite`, stdio: 'inherit' });
  }
  return `${folder}test-suite`;
}

function failures(folder) {
  let report;
  try {
    report = execFileSync('npx', ['mocha', '--reporter', 'json', 'test-suite.js'], { cwd: folder, timeout: 300_000 });
  } catch (error) {
    report = error.stdout;
  }
  const { stats, failures } = JSON.parse(report);
  return { passes: stats.passes, tests: stats.tests, failed: failures.map((test) => test.fullTitle) };
}

async function listens() {
  for (let tries = 0; tries < 100; tries++) {
    try {
      return await fetch('http://localhost:3000/socket.io/?EIO=4&transport=polling');
    } catch {
      await sleep(100);
    }
  }
  throw new Error('the server does not listen on port 3000');
}

const server = spawn(process.argv[2], { stdio: 'inherit' });
let unlisted = 0;
try {
  await listens();
  for (const [name, commit] of Object.entries(SUITES)) {
    const folder = fetchSuite(name, commit);
    const times = new Map();
    for (let round = 1; round <= ROUNDS; round++) {
      const { passes, tests, failed } = failures(folder);
      console.log(`${name}, round ${round}: ${passes} of ${tests}`);
      for (const title of failed) times.set(title, (times.get(title) ?? 0) + 1);
    }
    for (const [title, count] of times) {
      const isListed = known.includes(title);
      console.log(`  failed ${count} of ${ROUNDS}${isListed ? ', as listed' : ''}: ${title}`);
      if (count > 1 && !isListed) unlisted++;
    }
  }
} finally {
  server.kill();
}
process.exitCode = unlisted > 0 ? 1 : 0;
