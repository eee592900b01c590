// fixtures/worker.mjs, started.
import { Worker } from 'node:worker_threads';

import { fixture } from './child.mjs';
import { until } from './wait.mjs';

const started = new Set();

/** Ends those that run: for after a test, which may have failed. */
export const endWorkers = () => Promise.all([...started].map((worker) => worker.terminate()));

/** `saw(what)` resolves once the worker has told `what`, and rejects when the worker fails. */
export function startWorker(workerData) {
  const worker = new Worker(fixture('worker.mjs'), { workerData, execArgv: [] });
  started.add(worker);
  worker.once('exit', () => started.delete(worker));
  const messages = [];
  let failure;
  worker.on('message', (message) => messages.push(message));
  worker.on('error', (error) => (failure = error));
  const saw = (what) =>
    until(() => {
      if (failure !== undefined) throw failure;
      return messages.includes(what);
    }, `"${what}" of a worker`);
  return { worker, messages, saw };
}
