'use strict';
// The engine's log for the option `log` of a bus.

const addon = require('./addon.js');
const { callSafely } = require('./report.js');
const { addWake, removeWake } = require('./wakes.js');

const { logLevels } = addon.constants();

class Log {
  #id;
  #handle;
  #log; // the user's function

  /** Of the engine that will be opened with these options. */
  constructor(options, log) {
    this.#log = log;
    this.#id = addWake(this);
    this.#handle = addon.optionsLog(options, this.#id);
  }

  onWake() {
    const [leftOut, ...lines] = addon.logTake(this.#handle);
    for (let i = 0; i < lines.length; i += 2) callSafely(this.#log, logLevels[lines[i]], lines[i + 1]);
    if (leftOut > 0) {
      callSafely(this.#log, 'warn', `${leftOut} lines of this log were left out: they came faster than they were taken`);
    }
  }

  /** Gives what has come. Nothing comes afterwards. */
  end() {
    this.onWake();
    removeWake(this.#id);
  }
}

module.exports = { Log };
