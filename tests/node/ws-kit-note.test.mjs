import { testNote } from './support/note.mjs';

// 0.1 and the router's memory adapter are not installed here.
testNote('ws-kit', (block) => block.includes("'@ws-kit/redis-pubsub'") && !block.includes('/v0'));
