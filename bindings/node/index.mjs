import fanwire from './lib/index.js';

export const {
  connect, open, cleanJson, encodeEnvelope, decodeEnvelope, FanwireError, DecodeError, AbortError, errors, version,
  dependencies, settings, statuses,
} = fanwire;
export default fanwire;
