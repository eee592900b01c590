// 1,000 workers, each ended in the middle of traffic. Ends with 0 when the process has survived them.
const { Worker, isMainThread, parentPort } = require('node:worker_threads');

const { connect } = require('fanwire');

async function worker() {
  const bus = await connect('memory://workers');
  bus.ref();
  let told = false;
  bus.subscribe('a', () => {
    bus.publish('a', 'x').catch(() => {});
    if (!told) parentPort.postMessage('busy');
    told = true;
  });
  for (let i = 0; i < 20; ++i) bus.publishNoWait('a', 'x');
}

async function one() {
  const thread = new Worker(__filename);
  await new Promise((resolve, reject) => {
    thread.once('message', resolve).once('error', reject).once('exit', () => reject(new Error('a worker ended by itself')));
  });
  await thread.terminate();
}

async function main() {
  const count = Number(process.argv[2] || 1000);
  for (let done = 0; done < count; done += 10) await Promise.all(Array.from({ length: 10 }, one));
  console.log(`ok ${count} workers`);
}

if (isMainThread) main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
else worker();
