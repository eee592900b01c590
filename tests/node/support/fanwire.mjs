// The package, with what a test opened closed when the test ends, however it ends: a bus with a subscription that a failed
// test left open would keep the whole run waiting. What is opened outside of tests is for `after` to close.
import { afterEach, beforeEach } from 'node:test';

import * as fanwire from 'fanwire';

export * from 'fanwire';

const tests = []; // that run, one in another; what each has opened

beforeEach(() => {
  tests.push([]);
});

afterEach(async () => {
  await Promise.allSettled(tests.pop().map((bus) => bus.close({ timeout: 0 })));
});

function noted(bus) {
  tests.at(-1)?.push(bus);
  return bus;
}

export const open = (...args) => noted(fanwire.open(...args));
export const connect = async (...args) => noted(await fanwire.connect(...args));
