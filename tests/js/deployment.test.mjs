// Rules for docker-compose.yml and the Dockerfile. Neither is run here: they are parsed as Docker parses them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';

import dockerignore from '@balena/dockerignore';
import { DockerfileParser } from 'dockerfile-ast';
import { validate } from 'dockerfile-utils';
import { parse } from 'yaml';

import { BINARY, ROOT } from './server.mjs';

const read = (name) => readFileSync(join(ROOT, name), 'utf8');
const dockerfile = DockerfileParser.parse(read('Dockerfile'));

/** The arguments of these instructions in the last stage, e.g. `['3000']` for `EXPOSE 3000`. */
function instructions(name) {
  const stages = dockerfile.getFROMs();
  const last = stages.at(-1).getRange().start.line;
  return dockerfile.getInstructions()
    .filter((one) => one.getInstruction() === name && one.getRange().start.line > last)
    .map((one) => one.getTextContent().slice(name.length).trim());
}

describe('docker-compose.yml', () => {
  const compose = parse(read('docker-compose.yml'), { strict: true, uniqueKeys: true });
  const { mongo, deskline } = compose.services;
  const uri = new URL(deskline.environment.DESKLINE_MONGODB_URI);

  test('the server and its database restart by themselves', () => {
    assert.deepEqual(Object.keys(compose.services).sort(), ['deskline', 'mongo']);
    for (const service of [mongo, deskline]) assert.equal(service.restart, 'unless-stopped');
    assert.equal(deskline.build, '.');
  });

  test('data is on volumes that outlive the containers', () => {
    for (const [service, path] of [[mongo, '/data/db'], [deskline, instructions('VOLUME')[0]]]) {
      const [[volume, target]] = service.volumes.map((one) => one.split(':'));
      assert.equal(target, path);
      assert.ok(Object.hasOwn(compose.volumes, volume), `${volume} is declared`);
    }
  });

  test('only the server can reach the database', () => {
    assert.equal(mongo.ports, undefined);
    const [name, port] = uri.host.split(':');
    assert.equal(compose.services[name], mongo);
    assert.equal(port, '27017');
    assert.match(uri.pathname, /^\/\w+$/, 'the database is named');
  });

  test('the only published port is the one on which the server listens', () => {
    const [listen] = instructions('ENV').map((text) => /^DESKLINE_LISTEN=(?<address>\S+):(?<port>\d+)$/.exec(text).groups);
    assert.equal(listen.address, '0.0.0.0', 'other containers and the host get at it');
    assert.deepEqual(instructions('EXPOSE'), [listen.port]);
    assert.deepEqual(deskline.ports, [`\${PORT:-${listen.port}}:${listen.port}`]);
  });

  test('the server waits until the database accepts writes', () => {
    assert.deepEqual(deskline.depends_on, { mongo: { condition: 'service_healthy' } });
    const [kind, shell, quiet, flag, script, ...rest] = mongo.healthcheck.test;
    assert.deepEqual([kind, shell, quiet, flag, rest], ['CMD', 'mongosh', '--quiet', '--eval', []]);
    const set = uri.searchParams.get('replicaSet');
    assert.equal(mongo.command[mongo.command.indexOf('--replSet') + 1], set);

    const check = (isThere, isWritablePrimary) => {
      const calls = [];
      const rs = {
        status() { if (!isThere) throw new Error('no replset config has been received'); },
        initiate: (config) => calls.push(structuredClone(config)),
      };
      const db = { hello: () => ({ isWritablePrimary }) };
      runInNewContext(script, { rs, db, quit: (code) => calls.push(code) });
      return calls;
    };
    const one = { _id: set, members: [{ _id: 0, host: uri.host }] };
    assert.deepEqual(check(false, false), [one, 1], 'the first check makes the replica set, and is not the last');
    assert.deepEqual(check(true, false), [1], 'a database that has no primary yet is not healthy');
    assert.deepEqual(check(true, true), []);
  });

  test('the secret is required, and every setting exists', () => {
    const known = read('.env.example');
    for (const name of Object.keys(deskline.environment)) assert.match(known, new RegExp(`^# ${name}=`, 'm'), name);
    assert.match(deskline.environment.DESKLINE_JWT_SECRET, /^\$\{DESKLINE_JWT_SECRET:\?.+\}$/);
    // Variables that are passed in have the same names as in the example file, which therefore works for both.
    const outside = Object.values(deskline.environment).concat(deskline.ports).join(' ');
    for (const [, name] of outside.matchAll(/\$\{(\w+)/g)) assert.match(known, new RegExp(`^# ${name}=`, 'm'), name);
  });

  test('every variable in the README is in the example file', () => {
    const known = read('.env.example');
    const named = [...read('README.md').matchAll(/`(DESKLINE_\w+|PORT|JWT_SECRET|CLIENT_URL|MONGODB_URI)`/g)].map(([, name]) => name);
    assert.ok(named.includes('DESKLINE_JWT_SECRET'));
    for (const name of named) assert.match(known, new RegExp(`^# .*\\b${name}\\b`, 'm'), name);
  });
});

describe('Dockerfile', () => {
  test('the linter finds nothing', () => {
    assert.deepEqual(validate(read('Dockerfile')).map(({ message, range }) => `line ${range.start.line + 1}: ${message}`), []);
    assert.notDeepEqual(validate('FROM scratch\nCOPPY a b\n'), [], 'it does look');
  });

  test('the program is built in one stage and copied to another, which has no compiler', () => {
    const [build, final, ...rest] = dockerfile.getFROMs();
    assert.deepEqual(rest, []);
    const needed = /^rust-version = "(.+)"$/m.exec(read('Cargo.toml'))[1].split('.').map(Number);
    const [major, minor] = /^rust:(\d+)\.(\d+)-/.exec(build.getImage()).slice(1).map(Number);
    assert.ok(major > needed[0] || (major === needed[0] && minor >= needed[1]), `Rust ${needed.join('.')} is needed`);
    assert.doesNotMatch(final.getImage(), /rust/);
    assert.match(final.getImage(), /:nonroot$/);
  });

  test('copied files exist and are part of the build context', () => {
    const ignored = dockerignore().add(read('.dockerignore'));
    let files = 0;
    const check = (path) => {
      assert.ok(existsSync(join(ROOT, path)), `${path} is there`);
      assert.ok(!ignored.ignores(path), `${path} is not in .dockerignore`);
      files += 1;
      if (!statSync(join(ROOT, path)).isDirectory()) return;
      for (const entry of readdirSync(join(ROOT, path))) check(join(path, entry));
    };
    for (const copy of dockerfile.getCOPYs()) {
      const from = copy.getFlags().find((flag) => flag.getName() === 'from');
      const stages = dockerfile.getFROMs().map((stage) => stage.getBuildStage());
      if (from) assert.ok(stages.includes(from.getValue()), `${from.getValue()} is a stage`);
      else copy.getArguments().slice(0, -1).forEach((path) => check(path.getValue()));
    }
    assert.ok(files > 100, `${files} files`);
    for (const path of ['.env', '.git/config', 'target/debug/deskline', 'deskline.db', 'tests/js/server.mjs']) {
      assert.ok(ignored.ignores(path), `${path} stays here`);
    }
  });

  test('the container does not run as root, and its user owns the folders that it writes to', () => {
    const [user] = instructions('USER');
    assert.match(user, /^[1-9]\d*:[1-9]\d*$/, 'a number can be judged by an orchestrator');
    const [volume] = instructions('VOLUME');
    assert.deepEqual(instructions('WORKDIR'), [volume]);
    assert.ok(instructions('COPY').some((copy) => copy === `--from=build --chown=${user} ${volume} ${volume}`));
  });

  test('the entry point is the built program, and the health check is one of its commands', () => {
    const [[program]] = instructions('ENTRYPOINT').map((text) => JSON.parse(text));
    assert.ok(instructions('COPY').some((copy) => copy === `--from=build ${program} ${program}`));
    const [[asked, ...words]] = instructions('HEALTHCHECK').map((text) => JSON.parse(text.slice(text.indexOf('['))));
    assert.equal(asked, program);
    assert.match(execFileSync(BINARY, [...words, '--help'], { encoding: 'utf8' }), /Usage: deskline health/);
  });
});
