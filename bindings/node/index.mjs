import fanwire from './lib/index.js';

export const { connect, cleanJson, FanwireError, errors, version, dependencies, settings, statuses } = fanwire;
export default fanwire;
