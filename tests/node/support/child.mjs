// Programs run as processes of their own, for what ends a process.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const testDir = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

export const fixture = (name) => path.join(testDir, 'fixtures', name);

/**
 * Starts a command with a deadline. `ended` resolves to {code, signal, stdout, stderr}; `saw(text)` once that stands in
 * stdout.
 */
export function start(command, args, { timeout = 30_000, ...options } = {}) {
  const child = spawn(command, args, { cwd: testDir, stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const output = { stdout: '', stderr: '' };
  const waits = new Set();
  const look = () => {
    for (const wait of waits) if (wait()) waits.delete(wait);
  };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
    look();
  });
  child.stderr.on('data', (chunk) => (output.stderr += chunk));
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...output });
    });
  });
  const saw = (text) =>
    new Promise((resolve, reject) => {
      waits.add(() => output.stdout.includes(text) && (resolve(), true));
      ended.then(({ stderr }) => reject(new Error(`ended without "${text}": ${stderr}`)), reject);
      look();
    });
  return { child, ended, saw };
}

/** Runs a command with a deadline and resolves to {code, signal, stdout, stderr}. */
export const run = (command, args, options) => start(command, args, options).ended;

/** Starts ES module source, in which fanwire's exports are in scope. */
export function startScript(source, options) {
  const script = `import { connect, open, FanwireError, errors } from 'fanwire';\n${source}`;
  return start(process.execPath, ['--input-type=module', '--eval', script], options);
}

/** Runs such source. */
export const runScript = (source, options) => startScript(source, options).ended;
