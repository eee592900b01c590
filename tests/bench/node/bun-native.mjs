// Bun's built-in client, under Bun; it pipelines by itself.
import { readFileSync } from 'node:fs';

import { args, drive, onBreak, unixPath } from './driver.mjs';

await drive(async () => {
  const options = { autoReconnect: args.brokenOnce };
  if (args.ca !== undefined) options.tls = { ca: readFileSync(args.ca) };
  const url = unixPath === undefined ? args.url : `redis+unix://${unixPath}`;
  const client = new Bun.RedisClient(url, options);
  await client.connect();
  client.onclose = onBreak;
  return {
    async subscribe(channels, onMessage) {
      await client.subscribe(channels, (text) => onMessage(text));
    },
    publish: (channel, text) => client.publish(channel, text),
  };
});
