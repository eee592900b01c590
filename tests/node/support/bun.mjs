// Where Bun is, and why its tests are skipped when it is nowhere.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

import { testDir } from './child.mjs';

export const bun = [path.join(testDir, 'node_modules/.bin/bun'), 'bun'].find(
  (command) => spawnSync(command, ['--version']).status === 0,
);
export const skip = bun === undefined && 'there is no bun: npm install --no-save bun';
