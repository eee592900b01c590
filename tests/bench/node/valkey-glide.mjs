// valkey-glide, whose core is in Rust. Channels are given when it is opened, and it says by itself when it has them.
import { readFileSync } from 'node:fs';

import { args, drive, load, unixPath } from './driver.mjs';

const { GlideClient, GlideClientConfiguration, Logger } = await load('@valkey/valkey-glide');
Logger.setLoggerConfig('off'); // it logs to the standard output, which is the runner's
const { Exact } = GlideClientConfiguration.PubSubChannelModes;

await drive(async () => {
  if (unixPath !== undefined) throw new Error('valkey-glide has no unix sockets');
  const { hostname: host, port } = new URL(args.url);
  const configuration = { addresses: [{ host, port: Number(port) }] };
  // Its own limit of commands under way is 1000, and beyond that it refuses; the runner has up to 4000 at once.
  configuration.inflightRequestsLimit = 10_000;
  configuration.requestTimeout = 60_000;
  if (args.ca !== undefined) {
    configuration.useTLS = true;
    configuration.advancedConfiguration = { tlsAdvancedConfiguration: { rootCertificates: readFileSync(args.ca) } };
  }
  let publisher;
  if (args.mode === 'publish') publisher = await GlideClient.createClient(configuration);
  return {
    async subscribe(channels, onMessage) {
      configuration.pubsubSubscriptions = {
        channelsAndPatterns: { [Exact]: new Set(channels) },
        callback: (message) => onMessage(message.message),
      };
      const client = await GlideClient.createClient(configuration);
      const has = async () => (await client.getSubscriptions()).actualSubscriptions[Exact]?.size === channels.length;
      while (!(await has())) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    publish: (channel, text) => publisher.publish(text, channel),
  };
});
