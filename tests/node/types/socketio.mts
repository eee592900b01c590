// fanwire/socket.io as users write it.
import { open } from 'fanwire';
import type { Gap } from 'fanwire';
import { createAdapter } from 'fanwire/socket.io';
import type { FanwireAdapter, GapRoom } from 'fanwire/socket.io';
import { Emitter } from 'fanwire/socket.io/emitter';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { Server } from 'socket.io';

const io = new Server({
  adapter: createAdapter('redis://127.0.0.1', { wire: 'classic', key: 'x', password: 'x', notifyClients: true }),
});
new Server().adapter(createAdapter(open('memory://x'), { wire: 'interest', requestsTimeout: 100 }));
new Server().adapter(createAdapter());
const adapter = io.of('/').adapter as FanwireAdapter;
adapter.on('gap', (room: GapRoom, gap: Gap) => [room, gap.count]);
adapter.on('unsent', (error, { type }) => [error.message, type + 1]);
adapter.on('join-room', (room: string, id: string) => [room, id]);
const connected: boolean = adapter.bus.connected;
const rooms: Promise<Set<string>> = adapter.allRooms();
new Server().adapter(createAdapter(new Redis(), { wire: 'sharded', subscriptionMode: 'static' }));
new Server().adapter(createAdapter(null, { client: createClient(), wire: 'sharded' }));
// @ts-expect-error: no such wire
createAdapter('redis://127.0.0.1', { wire: 'x' });
// @ts-expect-error: a setting of a bus that is made already
createAdapter(open('memory://x'), { password: 'x' });

const emitter = new Emitter('redis://127.0.0.1', { wire: 'classic', password: 'x' });
const chosen = emitter.of('/chat').to(['a', 1]).except('b').volatile.compress(true);
const sent: boolean = chosen.emit('hello', 1, Buffer.alloc(1));
emitter.in('a').socketsJoin(['b']);
emitter.serverSideEmit('hello');
await emitter.close();
new Emitter(new Redis(), { wire: 'sharded' });
export { connected, rooms, sent };
