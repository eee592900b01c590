// Publishes and receives, in whatever runs this; prints "ok" and which.
const { connect, dependencies } = require('fanwire');

async function main() {
  const bus = await connect(process.env.SMOKE_URL || 'memory://');
  const received = new Promise((resolve) => {
    const subscription = bus.subscribe('smoke', (message) => resolve(message.text));
    subscription.ready.then(() => bus.publish('smoke', 'hello'));
  });
  if ((await received) !== 'hello') throw new Error('another message came');
  await bus.close();
  const { bun, deno, node } = process.versions;
  console.log(`ok ${bun ? `bun ${bun}` : deno ? `deno ${deno}` : `node ${node}`} openssl ${dependencies.openssl}`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
