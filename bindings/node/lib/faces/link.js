'use strict';
// What a face of one pair of connections needs around a bus: opened at the first use, failures told at the first attempt,
// many handlers of a channel, and events.

const { EventEmitter } = require('node:events');

const { ClientBus } = require('./client.js');
const { Wanted } = require('./wanted.js');

/** Stands for a bus that cannot be opened, as for a wrong URL: all that uses it hears why. */
class BrokenBus extends EventEmitter {
  connected = false;
  state = 'gave_up';

  constructor(error) {
    super();
    this.error = error;
    this.opened = Promise.reject(error);
    this.opened.catch(() => {});
  }

  ref() {
    return this;
  }

  reconnect() {
    queueMicrotask(() => this.emit('error', this.error, { willReconnect: false }));
  }

  publish() {
    return Promise.reject(this.error);
  }

  subscribe() {
    const subscription = Object.assign(new EventEmitter(), { state: 'pending', endQuietly() {} });
    this.reconnect();
    return subscription;
  }

  psubscribe() {
    return this.subscribe();
  }

  async close() {}
}

/** `openBus()` makes the bus; `onEvent(name, payload)` hears of it; the others are those of Wanted. */
class Link {
  #openBus;
  #onEvent;
  #bus;
  #isUsed = false;
  #first; // the promise of the first attempt, until it is over
  #isBack = false; // connected again, and not yet 'reconnected'
  #wasDown = false;
  channels;
  patterns;

  constructor({ openBus, onEvent, ...options }) {
    this.#openBus = openBus;
    this.#onEvent = onEvent;
    const onConfirmed = () => this.#checkBack();
    this.channels = new Wanted({ ...options, onConfirmed, subscribe: (name, deliver) => this.open().subscribe(name, deliver) });
    this.patterns = new Wanted({ ...options, onConfirmed, subscribe: (name, deliver) => this.open().psubscribe(name, deliver) });
  }

  get connected() {
    return this.#bus?.connected ?? false;
  }

  /** The bus, opened at the first call. It keeps the process alive once it is used. */
  open(isUse = true) {
    if (this.#bus === undefined) {
      try {
        this.#bus = this.#openBus();
      } catch (error) {
        this.#bus = new BrokenBus(error);
      }
      this.#watch(this.#bus);
    }
    if (isUse && !this.#isUsed) {
      this.#isUsed = true;
      this.#bus.ref();
    }
    return this.#bus;
  }

  /** Resolves when connected; rejects when the attempt that is the first, or follows giving up, fails. */
  async connect(isUse = true) {
    const bus = this.open(isUse);
    if (bus.connected) return;
    if (bus.state === 'gave_up') {
      const outcome = nextOutcome(bus);
      bus.reconnect();
      return outcome;
    }
    await this.#first;
  }

  /** Publishes; waits for the first connection, and for no other. */
  publish(name, payload) {
    const bus = this.open();
    if (bus.connected) return bus.publish(name, payload);
    return this.connect().then(() => bus.publish(name, payload));
  }

  async close(error, timeout) {
    this.#onEvent = () => {};
    this.channels.clear(error);
    this.patterns.clear(error);
    await this.#bus?.close({ timeout }).catch(() => {}); // whoever waits for a publish hears of it
  }

  #watch(bus) {
    this.#first = bus.opened.then(() => {}).finally(() => (this.#first = undefined));
    this.#first.catch(() => {});
    bus.on('connect', () => {
      this.#onEvent('connect');
      if (!this.#wasDown) return;
      this.#isBack = true;
      this.#checkBack();
    });
    bus.on('disconnect', (error, { willReconnect }) => {
      this.#wasDown = true;
      this.#isBack = false;
      this.#onEvent('error', error);
      this.#onEvent('disconnect', { willReconnect });
    });
    bus.on('reconnecting', (attempt) => {
      this.#wasDown = true;
      this.#onEvent('reconnecting', attempt);
    });
    bus.on('error', (error) => {
      this.#onEvent('error', error);
      this.channels.fail(error);
      this.patterns.fail(error);
    });
  }

  // 'reconnected' when all that is wanted is delivered again.
  #checkBack() {
    if (!this.#isBack || !this.channels.confirmed || !this.patterns.confirmed) return;
    this.#isBack = this.#wasDown = false;
    this.#onEvent('reconnected');
  }
}

function nextOutcome(bus) {
  return new Promise((resolve, reject) => {
    const settle = (error) => {
      bus.off('connect', onConnect);
      bus.off('error', settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onConnect = () => settle();
    bus.on('connect', onConnect);
    bus.on('error', settle);
  });
}

module.exports = { Link, ClientBus };
