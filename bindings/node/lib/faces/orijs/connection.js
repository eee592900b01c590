'use strict';

const { EventEmitter } = require('node:events');

/** One of the two connections that the original has, as far as others look at it. */
class Connection extends EventEmitter {
  #link; // until it has ended

  constructor(link) {
    super();
    this.#link = link;
  }

  get status() {
    if (this.#link === undefined) return 'end';
    return this.#link.connected ? 'ready' : 'connecting';
  }

  end() {
    this.#link = undefined;
    this.emit('end');
    this.removeAllListeners();
  }
}

module.exports = { Connection };
