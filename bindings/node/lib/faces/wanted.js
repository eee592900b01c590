'use strict';
// Many handlers of one channel, one subscription of the bus, one `ready`.

/**
 * The channels, or the patterns, that somebody wants. `subscribe(name, deliver)` makes a subscription of the bus, which calls
 * deliver(message). `decode(message)` makes of it, once, the value that `call(handler, value, message)` hands to each handler.
 * What either throws or rejects with goes to onError(error, name). `makeError(name, cause)` makes what `ready` rejects with.
 */
class Wanted {
  #options;
  #entries = new Map(); // name -> {handlers, list (of them, until they change), subscription, ready, settle}

  constructor(options) {
    this.#options = options;
  }

  get size() {
    return this.#entries.size;
  }

  get names() {
    return [...this.#entries.keys()];
  }

  has(name) {
    return this.#entries.has(name);
  }

  /** Whether each of them is confirmed. */
  get confirmed() {
    for (const { subscription } of this.#entries.values()) if (subscription.state !== 'active') return false;
    return true;
  }

  /**
   * Wants `name` for one more handler (the same function counts once); returns its `ready`, which settles at the first
   * failure, after which it is wanted all the same. Throws what subscribing throws.
   */
  add(name, handler) {
    const entry = this.#entries.get(name) ?? this.#open(name);
    entry.handlers.add(handler);
    entry.list = undefined;
    if (entry.subscription.state === 'active') return Promise.resolve();
    if (entry.ready === undefined) this.#expect(entry);
    return entry.ready;
  }

  /** Whether it was the last handler: then nothing is delivered any more. */
  remove(name, handler) {
    const entry = this.#entries.get(name);
    if (entry === undefined || !entry.handlers.delete(handler)) return false;
    entry.list = undefined;
    if (entry.handlers.size > 0) return false;
    this.#end(name, entry);
    return true;
  }

  /** An attempt to connect has failed: whoever waits for `ready` hears of it. */
  fail(cause) {
    for (const [name, entry] of this.#entries) entry.settle?.(this.#options.makeError(name, cause));
  }

  /** Wants nothing any more; whoever waits for `ready` gets the error. */
  clear(error) {
    for (const [name, entry] of this.#entries) {
      entry.settle?.(error);
      this.#end(name, entry);
    }
  }

  #open(name) {
    const entry = { handlers: new Set(), list: undefined, subscription: undefined, ready: undefined, settle: undefined };
    const subscription = this.#options.subscribe(name, (message) => this.#deliver(name, entry, message));
    entry.subscription = subscription;
    const confirmed = () => {
      entry.settle?.();
      this.#options.onConfirmed?.();
    };
    subscription.on('active', confirmed);
    subscription.on('resumed', confirmed);
    subscription.on('failed', (cause) => entry.settle?.(this.#options.makeError(name, cause)));
    this.#entries.set(name, entry);
    return entry;
  }

  #expect(entry) {
    entry.ready = new Promise((resolve, reject) => {
      entry.settle = (error) => {
        entry.ready = entry.settle = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    entry.ready.catch(() => {}); // whoever waits for it sees it
  }

  #end(name, entry) {
    this.#entries.delete(name);
    entry.settle?.();
    entry.subscription.endQuietly();
  }

  #deliver(name, entry, message) {
    const { decode, call, onError } = this.#options;
    let value;
    try {
      value = decode(message);
    } catch (error) {
      return onError(error, name);
    }
    const list = (entry.list ??= [...entry.handlers]);
    for (const handler of list) {
      if (entry.list !== list && !entry.handlers.has(handler)) continue; // one before it took it away
      try {
        const result = call(handler, value, message);
        if (typeof result?.then === 'function') result.then(undefined, (error) => onError(error, name));
      } catch (error) {
        onError(error, name);
      }
    }
  }
}

module.exports = { Wanted };
