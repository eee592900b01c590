// The pub/sub of ws-kit, under Node or Bun: fanwire's face of it, or with --original @ws-kit/redis-pubsub. It sends text as it is.
import { args, drive, load, onBreak } from './driver.mjs';

const { createRedisPubSub } = args.isOriginal
  ? await load('@ws-kit/redis-pubsub')
  : await load('fanwire/ws-kit', '../../../bindings/node/lib/faces/ws-kit/index.js');

await drive(async () => {
  // The load may be far ahead: nothing may be dropped.
  const url = args.isOriginal ? args.url : `${args.url}?inbox_count=100000000&inbox_bytes=64GiB`;
  const pubsub = createRedisPubSub({ url, namespace: 'ws', serializer: 'text' });
  pubsub.on('error', onBreak);
  pubsub.on('disconnect', onBreak);
  await pubsub.connect?.();
  return {
    async subscribe(channels, onMessage) {
      for (const channel of channels) await pubsub.subscribe(channel, onMessage).ready;
    },
    publish: (channel, text) => pubsub.publish(channel, text),
  };
}, { namespace: '' });
