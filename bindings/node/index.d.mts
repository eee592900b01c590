import * as fanwire from './index.js';

export * from './index.js';
export default fanwire;
