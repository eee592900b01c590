// The CommonJS side of the types.
import fanwire = require('fanwire');

async function main(): Promise<number> {
  const bus: fanwire.Bus = await fanwire.connect('memory://x');
  const receivers: number = await bus.publish('chat', 'hello');
  await bus.close();
  return receivers;
}
main().catch((error: fanwire.FanwireError) => error.code);
