'use strict';

const addon = require('./addon.js');
const { Bus, kFirstAttempt } = require('./bus.js');
const { FanwireError, errors } = require('./errors.js');
const { cleanJson } = require('./json.js');
const { settingPairs } = require('./settings.js');

/** connect(url?, settings?) or connect(settings): resolves to a connected bus, or rejects and leaves nothing open. */
async function connect(url, settings) {
  const settingsOnly = settings === undefined && typeof url === 'object' && url !== null && !(url instanceof URL);
  const bus = new Bus(settingsOnly ? settingPairs(undefined, url) : settingPairs(url, settings));
  await bus[kFirstAttempt]();
  return bus;
}

module.exports = {
  connect,
  cleanJson,
  FanwireError,
  errors,
  version: addon.version(),
  dependencies: Object.freeze(addon.dependencies()),
  settings: Object.freeze(addon.optionTable().map(Object.freeze)),
  statuses: Object.freeze(addon.statusTable().map(Object.freeze)),
};
