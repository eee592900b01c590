// fanwire, under Node or Bun.
import { args, drive, load, onBreak } from './driver.mjs';

const { connect } = await load('fanwire', '../../../bindings/node/index.mjs');

await drive(async () => {
  const settings = { inboxCount: 100_000_000, inboxBytes: '64GiB' };
  if (args.ca !== undefined) settings.tlsCaFile = args.ca;
  const bus = await connect(args.url, settings);
  bus.ref();
  bus.on('disconnect', onBreak);
  return {
    async subscribe(channels, onMessage) {
      const subscriptions = channels.map((channel) => bus.subscribe(channel, (message) => onMessage(message.text)));
      for (const subscription of subscriptions) {
        subscription.on('gap', (gap) => onBreak(gap));
        await subscription.ready;
      }
    },
    publish: (channel, text) => bus.publish(channel, text),
    publishNoWait: (channel, text) => bus.publishNoWait(channel, text),
  };
}, { namespace: '' });
