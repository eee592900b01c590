import fanwire from './lib/index.js';

export const { connect, FanwireError, errors, version, dependencies, settings, statuses } = fanwire;
export default fanwire;
