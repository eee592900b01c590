// A redis-server of the test's own, on a free port of 127.0.0.1.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export class RedisServer {
  #dir;
  #args;
  #process;
  #onExit = () => this.#process?.kill('SIGKILL'); // when a test was broken off

  /** `args`: more of redis-server's, such as '--requirepass', 'secret'. */
  static async start(...args) {
    const server = new RedisServer();
    server.#args = args;
    process.once('exit', server.#onExit);
    server.#dir = await mkdtemp(path.join(os.tmpdir(), 'fanwire-redis-'));
    for (let attempt = 0; ; ++attempt) {
      server.port = await freePort();
      try {
        await server.restart();
        return server;
      } catch (error) { // another process may have taken the port
        if (attempt === 4) throw error;
      }
    }
  }

  get pid() {
    return this.#process.pid;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  get socketPath() {
    return path.join(this.#dir, 'redis.sock');
  }

  /** Starts it (again) on the same port and resolves when it answers. */
  async restart() {
    this.#process = spawn(
      'redis-server',
      ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', this.#dir,
        '--unixsocket', this.socketPath, ...this.#args],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const child = this.#process;
    let log = '';
    await new Promise((resolve, reject) => {
      child.once('exit', () => reject(new Error(`redis-server did not start:\n${log}`)));
      child.stdout.on('data', (chunk) => {
        log += chunk;
        if (log.includes('Ready to accept connections')) resolve();
      });
    });
    child.unref(); // a test that fails must not hang for the server it left behind
    child.stdout.unref();
  }

  /** kill -9 */
  async kill() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.ref();
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
  }

  /** SIGSTOP: its connections stay open and silent. */
  pause() {
    this.#process.kill('SIGSTOP');
  }

  resume() {
    this.#process.kill('SIGCONT');
  }

  async stop() {
    await this.kill();
    process.off('exit', this.#onExit);
    await rm(this.#dir, { recursive: true, force: true });
  }
}
