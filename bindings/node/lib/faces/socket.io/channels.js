'use strict';
// The subscriptions of one adapter: those that are always there, and one for each channel of its rooms. Rooms that
// differ in type only (1 and '1') share a channel.

const kLongestWaitMs = 1000; // of a join, for Redis to confirm

class Channels {
  #bus;
  #deliver;
  #tell;
  #entries = new Map(); // name -> {subscription, rooms}

  /**
   * `deliver(message)`; `tell(event, rooms, detail)` is told what happens to a subscription; without rooms it is one
   * for all of them.
   */
  constructor(bus, deliver, tell) {
    this.#bus = bus;
    this.#deliver = deliver;
    this.#tell = tell;
  }

  /** `isQuiet`: nobody is told what happens to it. Throws what subscribing throws. */
  open({ name, isPattern = false, isQuiet = false }, room) {
    const rooms = new Set();
    if (room !== undefined) rooms.add(room);
    const subscription = this.#bus[isPattern ? 'psubscribe' : 'subscribe'](name, this.#deliver);
    let last;
    for (const event of isQuiet ? [] : ['lost', 'gap', 'resumed', 'failed', 'active']) {
      subscription.on(event, (detail) => {
        const isNews = event !== 'active' && !(event === 'failed' && last === event); // a client fails at each attempt
        last = event;
        if (isNews) this.#tell(event, [...rooms], detail);
      });
    }
    this.#entries.set(name, { subscription, rooms });
    return subscription;
  }

  /** A subscription that is new; undefined when there was one. */
  add(name, room) {
    const entry = this.#entries.get(name);
    if (entry === undefined) return this.open({ name }, room);
    entry.rooms.add(room);
    return undefined;
  }

  remove(name, room) {
    const entry = this.#entries.get(name);
    if (entry === undefined || !entry.rooms.delete(room) || entry.rooms.size > 0) return;
    this.#entries.delete(name);
    entry.subscription.endQuietly();
  }

  close() {
    for (const { subscription } of this.#entries.values()) subscription.endQuietly();
    this.#entries.clear();
  }
}

/** Resolves when Redis has confirmed them, or refused, or takes too long. */
function confirmed(subscriptions) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, kLongestWaitMs);
    timer.unref?.();
    Promise.allSettled(subscriptions.map(({ ready }) => ready)).then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

module.exports = { Channels, confirmed };
