'use strict';

const kFreshMs = 1000; // what a server needs at most to subscribe to a room that it did not have

/**
 * Rooms that sockets of other servers have just been put in from here. Their servers may not have subscribed yet, so what is
 * for such a room goes to all: otherwise what is sent right after socketsJoin() would not arrive.
 */
class FreshRooms {
  #until = new Map(); // name -> when it is fresh no more
  #now;

  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  add(rooms) {
    const now = this.#now();
    for (const [name, until] of this.#until) {
      if (until > now) break; // the others are younger
      this.#until.delete(name);
    }
    for (const room of rooms) {
      this.#until.delete(String(room));
      this.#until.set(String(room), now + kFreshMs);
    }
  }

  has(room) {
    return this.#until.size > 0 && this.#until.get(String(room)) > this.#now();
  }
}

module.exports = { FreshRooms, kFreshMs };
