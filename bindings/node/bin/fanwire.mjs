#!/usr/bin/env node
// `npx fanwire build`: compiles the addon, where there is no ready-made one or another is wanted.
import { readFileSync } from 'node:fs';

const usage = `Usage: npx fanwire build

Compiles fanwire's addon into the installed package, where it is used instead of the ready-made one. It takes CMake, a
C++20 compiler, pkg-config, hiredis, libevent and OpenSSL 3, and names what is missing. The engine's sources are in the
package's folder sources/, or where FANWIRE_SOURCE_DIR says.

  --help, --version
`;

const [command, ...rest] = process.argv.slice(2);
if (command === 'build' && rest.length === 0) {
  await import('../scripts/build.mjs');
} else if (command === '--version') {
  console.log(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version);
} else if (command === '--help' || command === '-h') {
  process.stdout.write(usage);
} else {
  process.stderr.write(command === undefined ? usage : `fanwire: there is no command "${[command, ...rest].join(' ')}"\n\n${usage}`);
  process.exitCode = 2;
}
