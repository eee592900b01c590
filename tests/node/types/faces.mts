// The declarations of the faces, which tsc checks here.
export type * from 'fanwire/ws-kit';
