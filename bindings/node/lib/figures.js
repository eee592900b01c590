'use strict';
// What an engine tells about itself.

const addon = require('./addon.js');
const { makeError, codeOf } = require('./errors.js');

const { verdicts } = addon.constants();

/** Functions that read an engine's figures, as the addon gives them. */
const figuresOf = (engine) => ({
  health: () => addon.engineHealth(engine),
  stats: () => addon.engineStats(engine),
  latency: () => addon.engineLatency(engine),
  prometheus: () => addon.engineMetrics(engine, true),
  json: () => addon.engineMetrics(engine, false),
});

/** The same functions, for when the engine is gone: what they give is read now. */
function lastFigures(figures) {
  const last = Object.entries(figures).map(([name, read]) => [name, read()]);
  return Object.fromEntries(last.map(([name, value]) => [name, () => structuredClone(value)]));
}

/** What bus.health() gives. */
function healthOf({ verdict, status, ...rest }) {
  const word = verdicts[verdict];
  return { ok: word === 'ok', verdict: word, code: codeOf(status), status, ...rest };
}

/** Times in microseconds since the bus was opened: buckets[i] counts those above 2^(i-1) and up to 2^i. */
class LatencyHistogram {
  constructor({ count, sumUs, maxUs, buckets }) {
    this.count = count;
    this.sumUs = sumUs;
    this.maxUs = maxUs;
    this.buckets = buckets;
  }

  /** A time that `percent` of all stayed within, as exact as the buckets are; null when nothing was measured. */
  percentile(percent) {
    if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100)) {
      throw makeError('INVALID_ARGUMENT', `a percentile is a number from 0 to 100, not ${String(percent)}`);
    }
    const total = this.count;
    if (total === 0) return null;
    const rank = Math.max(1, Math.ceil((percent / 100) * total));
    let seen = 0;
    const bucket = this.buckets.findIndex((count) => (seen += count) >= rank);
    if (bucket === this.buckets.length - 1) return this.maxUs; // has no upper end
    return Math.min(2 ** bucket, this.maxUs);
  }
}

module.exports = { figuresOf, lastFigures, healthOf, LatencyHistogram };
