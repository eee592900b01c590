// The package, with what a test opened closed when the test ends, however it ends, or when it takes far too long: a bus with a
// subscription that a failed test left open would keep the whole run waiting. What is opened outside of tests is for `after`
// to close.
import { afterEach, beforeEach } from 'node:test';

import * as fanwire from 'fanwire';

export * from 'fanwire';

const kDeadlineMs = 240_000;
const running = []; // tests, one in another: {buses, timer}

// What waits for something of theirs is then rejected.
const closeAll = (buses) => Promise.allSettled(buses.map((bus) => bus.close({ timeout: 0 })));

beforeEach(() => {
  const buses = [];
  running.push({ buses, timer: setTimeout(() => closeAll(buses), kDeadlineMs).unref() });
});

afterEach(async () => {
  const { buses, timer } = running.pop();
  clearTimeout(timer);
  await closeAll(buses);
});

function noted(bus) {
  running.at(-1)?.buses.push(bus);
  return bus;
}

export const open = (...args) => noted(fanwire.open(...args));
export const connect = async (...args) => noted(await fanwire.connect(...args));
