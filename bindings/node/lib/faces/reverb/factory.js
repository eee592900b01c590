'use strict';

const { createRequire } = require('node:module');
const path = require('node:path');

const { creationError } = require('./errors.js');

/**
 * What makes clients in the original. The provider connects by itself unless it is given another one: override make(), or
 * createClient(), to swap the client. This one makes clients of ioredis, as the original does.
 */
class RedisClientFactory {
  /** `redisUrl`: redis:// or rediss://, where username, password, db and timeout (milliseconds) may stand in the query. */
  async make(redisUrl) {
    try {
      const { protocol, hostname, port, username, password, pathname, searchParams } = new URL(redisUrl);
      const part = (name, text = '') => searchParams.get(name) || decodeURIComponent(text) || undefined;
      const timeout = part('timeout');
      return await this.createClient({
        host: hostname.replace(/^\[(.*)\]$/, '$1') || 'localhost',
        port: Number(port || 6379),
        username: part('username', username),
        password: part('password', password),
        db: Number(part('db', pathname.slice(1)) ?? 0) || 0,
        ...(timeout && { connectTimeout: Number(timeout) }),
        ...(protocol === 'rediss:' && { tls: {} }),
        lazyConnect: true,
      });
    } catch (cause) {
      throw creationError(cause);
    }
  }

  /** `options`: ioredis's. */
  async createClient(options) {
    const { Redis } = loadIoredis();
    const client = new Redis(options);
    if (options.lazyConnect) client.connect().catch(() => {}); // its 'error' event says it
    return client;
  }
}

// An optional peer: it is found from the application's folders, too, where packages are linked.
function loadIoredis() {
  const folders = [__dirname, path.dirname(process.argv[1] ?? '.'), process.cwd()];
  for (const folder of folders) {
    try {
      return createRequire(path.resolve(folder, 'from.js'))('ioredis');
    } catch (error) {
      if (error?.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Error('RedisClientFactory needs the package ioredis: npm install ioredis');
}

module.exports = { RedisClientFactory };
