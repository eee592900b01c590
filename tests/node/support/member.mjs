// Processes of fixtures/ws-kit-member.mjs and the like: they print JSON lines, and read commands.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

import { bun } from './bun.mjs';
import { fixture, start, testDir } from './child.mjs';
import { until } from './wait.mjs';

const deno = [path.join(testDir, 'node_modules/.bin/deno'), 'deno'].find(
  (command) => spawnSync(command, ['--version']).status === 0,
);

/** The runtimes that are installed: [command, ...arguments before the program]. */
export const runtimes = {
  node: [process.execPath],
  ...(bun && { bun: [bun] }),
  ...(deno && { deno: [deno, 'run', '-A'] }),
};

export class Member {
  static async start(runtime, name, ...args) {
    const member = new Member();
    const [command, ...before] = runtimes[runtime];
    member.process = start(command, [...before, fixture(name), ...args], { stdio: ['pipe', 'pipe', 'pipe'], timeout: 120_000 });
    member.lines = [];
    let rest = '';
    member.process.child.stdout.on('data', (chunk) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop();
      member.lines.push(...parts.map((part) => JSON.parse(part)));
    });
    await member.saw('ready');
    return member;
  }

  /** Waits for a line; once seen it counts no more. */
  async saw(line) {
    const text = JSON.stringify(line);
    let at;
    const isThere = () => (at = this.lines.findIndex((one) => JSON.stringify(one) === text)) >= 0;
    const ended = this.process.ended.then(({ stderr }) => {
      if (!isThere()) throw new Error(`ended without ${text}: ${stderr}`);
    });
    await Promise.race([until(isThere, `${text} among ${JSON.stringify(this.lines)}`), ended]).catch((error) => {
      throw new Error(`${error.message}; it saw ${JSON.stringify(this.lines)}`);
    });
    this.lines.splice(at, 1);
  }

  send(command) {
    this.process.child.stdin.write(`${typeof command === 'string' ? command : JSON.stringify(command)}\n`);
  }

  async end() {
    this.send('close');
    return this.process.ended;
  }
}
