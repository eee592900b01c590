// Programs run as processes of their own, for what ends a process.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const testDir = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

export const fixture = (name) => path.join(testDir, 'fixtures', name);

/** Runs a command with a deadline and resolves to {code, signal, stdout, stderr}. */
export function run(command, args, { timeout = 30_000, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: testDir, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (output.stdout += chunk));
    child.stderr.on('data', (chunk) => (output.stderr += chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...output });
    });
  });
}

/** Runs ES module source, in which fanwire's exports are in scope. */
export function runScript(source, options) {
  const script = `import { connect, FanwireError, errors } from 'fanwire';\n${source}`;
  return run(process.execPath, ['--input-type=module', '--eval', script], options);
}
