// One of the demo's five programs, in JavaScript for Node. packaging/demo/README.md says what they do.
import { once } from 'node:events';
import { connect } from 'fanwire';

const [name, channel, count, programs] = process.argv.slice(2);
if (programs === undefined) {
  console.error('usage: demo.mjs NAME CHANNEL COUNT PROGRAMS');
  process.exit(2);
}

// Counts messages "NAME NUMBER" by sender until all have come, and checks their order.
const counts = new Map();
let received = 0;
let complete;
const completed = new Promise((resolve) => (complete = resolve));

function receive(message) {
  const [sender, number] = message.text.split(' ');
  counts.set(sender, (counts.get(sender) ?? 0) + 1);
  if (Number(number) !== counts.get(sender)) {
    console.error(`demo.mjs: expected message ${counts.get(sender)} of ${sender}, got "${message}"`);
    process.exit(1);
  }
  if (++received === count * programs) complete();
}

const bus = await connect(); // settings from the environment
await bus.subscribe(channel, receive).ready;
console.log('ready');
await once(process.stdin, 'data');
process.stdin.destroy();

// All at once: they go out in this order, pipelined, and each Promise gives the number of receivers.
await Promise.all(Array.from({ length: Number(count) }, (_, i) => bus.publish(channel, `${name} ${i + 1}`)));
const deadline = setTimeout(complete, 60_000);
await completed;
clearTimeout(deadline);

for (const [sender, number] of counts) console.log('received', sender, number);
console.log('done');
await bus.close();
process.exitCode = received === count * programs ? 0 : 1;
