import { connect } from 'fanwire';
test('a message', async () => {
  const bus = await connect('memory://');
  const received = new Promise((resolve) => bus.subscribe('a', (message) => resolve(message.text)));
  await bus.publish('a', 'hi');
  expect(await received).toBe('hi');
  await bus.close();
});
