// ioredis; with --auto-pipelining its enableAutoPipelining.
import { readFileSync } from 'node:fs';

import { args, drive, load, onBreak, unixPath } from './driver.mjs';

const { Redis } = await load('ioredis');

await drive(async () => {
  const options = { enableAutoPipelining: args.autoPipelining, lazyConnect: true };
  if (args.ca !== undefined) options.tls = { ca: readFileSync(args.ca) };
  const redis = unixPath === undefined ? new Redis(args.url, options) : new Redis({ ...options, path: unixPath });
  redis.on('error', onBreak);
  await redis.connect();
  return {
    async subscribe(channels, onMessage) {
      redis.on('message', (_channel, text) => onMessage(text));
      await redis.subscribe(...channels);
    },
    publish: (channel, text) => redis.publish(channel, text),
  };
});
