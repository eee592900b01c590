// Waiting for what will happen, with a deadline and never for a fixed time.
const kDeadlineMs = 20_000;

/** Resolves when `condition` is true, which is looked at in every turn of the event loop. */
export async function until(condition, what = condition.toString()) {
  const deadline = Date.now() + kDeadlineMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The arguments of the next `event` of an emitter. Unlike the emitter's bus, it keeps the process alive. */
export function event(emitter, name) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited in vain for the event '${name}'`)), kDeadlineMs);
    emitter.once(name, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}
