const { connect } = require('fanwire');
test('a message', async () => {
  const bus = await connect('memory://');
  const received = new Promise((resolve) => bus.subscribe('a', (message) => resolve(message.text)));
  await bus.publish('a', new Uint8Array([104, 105]).buffer);
  expect(await received).toBe('hi');
  await bus.close();
});
