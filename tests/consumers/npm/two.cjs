const vm = require('node:vm');
const first = require('fanwire');
const second = require('./other/node_modules/fanwire');
const third = vm.runInNewContext('require("fanwire")', { require });
if (first === second) throw new Error('one copy');
Promise.all([first, second, third].map(async ({ connect }) => {
  const bus = await connect('memory://');
  await bus.publish('a', 'b');
  await bus.close();
})).then(() => console.log('ok two copies and a context'));
