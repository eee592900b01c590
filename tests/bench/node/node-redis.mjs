// node-redis, which pipelines what is sent in the same tick by itself. Without the time limit it puts on commands unless told
// otherwise: an AbortSignal for each, which takes more time than all else.
import { readFileSync } from 'node:fs';

import { args, drive, load, onBreak, unixPath } from './driver.mjs';

const { createClient } = await load('redis');

await drive(async () => {
  const options = unixPath === undefined ? { url: args.url } : { socket: { path: unixPath } };
  options.commandOptions = { timeout: undefined };
  if (args.ca !== undefined) options.socket = { tls: true, ca: readFileSync(args.ca) };
  const client = createClient(options);
  client.on('error', onBreak);
  await client.connect();
  return {
    async subscribe(channels, onMessage) {
      await client.subscribe(channels, (text) => onMessage(text));
    },
    publish: (channel, text) => client.publish(channel, text),
  };
});
