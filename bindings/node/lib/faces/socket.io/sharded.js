'use strict';
// The wire of createShardedAdapter() of @socket.io/redis-adapter: messages as with ours, in channels of shards.

const { InterestWire } = require('./interest.js');

const kSocketId = 20; // characters of its id
const modes = ['dynamic', 'dynamic-private', 'static'];

class ShardedWire extends InterestWire {
  static isSharded = true;
  #mode;

  /** `subscriptionMode`: which rooms have channels of their own; as the original's, and the same in all servers. */
  constructor({ key = 'socket.io', subscriptionMode = 'dynamic', ...more }) {
    super({ key, ...more });
    if (!modes.includes(subscriptionMode)) throw new TypeError(`subscriptionMode is one of ${modes.join(', ')}`);
    this.#mode = subscriptionMode;
  }

  serverChannel(uid) {
    return `${this.base}${uid}#`;
  }

  roomChannel(room) {
    const isSocket = typeof room === 'string' && room.length === kSocketId;
    if (this.#mode === 'static' || (this.#mode === 'dynamic' && isSocket)) return undefined;
    return `${this.base}${room}#`;
  }
}

module.exports = { ShardedWire };
