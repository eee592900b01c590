// The chat page in headless Chromium, through all three servers; Redis is killed meanwhile. It takes the README's screenshots.
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { startDemo, until } from './support.mjs';

const kDeadlineMs = 20_000;
const desktop = { width: 1200, height: 750 };
const phone = { width: 390, height: 844 };
const servers = ['A', 'B', 'C'];
const screenshots =
  process.env.FANWIRE_SCREENSHOTS ?? fileURLToPath(new URL('../../build/demo/screenshots', import.meta.url));
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let demo, browser;
const faults = []; // what the pages' consoles say

before(async () => {
  demo = await startDemo();
  browser = await chromium.launch({ executablePath, args: ['--disable-lcd-text', '--font-render-hinting=none'] });
  await mkdir(screenshots, { recursive: true });
});
after(async () => {
  await browser?.close();
  await demo?.close();
});
afterEach(() => {
  demo?.resume();
  return Promise.all(browser.contexts().map((context) => context.close()));
});

async function open(server, options = {}) {
  const context = await browser.newContext({ viewport: desktop, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(kDeadlineMs);
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on(
    'console',
    (message) =>
      message.type() === 'error' && !/WebSocket connection/.test(message.text()) && faults.push(message.text()),
  );
  page.on('dialog', (dialog) => faults.push(`a dialog: ${dialog.message()}`) && dialog.dismiss());
  page.on('request', (request) => {
    if (!request.url().startsWith(demo.url(server)) && !request.url().startsWith('data:'))
      faults.push(`it asks for ${request.url()}`);
  });
  await page.goto(demo.url(server));
  return page;
}

async function enter(page, name) {
  await page.fill('#name', name);
  await page.press('#name', 'Enter');
  const isIn = async () => {
    if (await page.locator('#say').isVisible()) return true;
    const why = await page.textContent('#name-error');
    if (why === '') return false;
    // On a machine that is too busy, or before the namesake of the last test has left.
    assert.match(why, /does not answer|already/);
    await page.press('#name', 'Enter');
    return false;
  };
  await until(isIn, `${name} to be in`);
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

const person = (page, name) => page.locator('#people button', { hasText: name });
const text = (page, words) => page.locator('#log .text', { hasText: words });
const shot = (page, name) => page.screenshot({ path: path.join(screenshots, `${name}.png`) });

/** [{who, text}] of the log; a message without a heading is of the one before. */
const said = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('#log .message')].map((message) => ({
      who: (message.querySelector('.who b') ?? message.querySelector('.unseen')).textContent.replace(/: $/, ''),
      text: message.querySelector('.text').textContent,
    })),
  );

/** What axe finds wrong. */
async function accessibilityFaults(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, any }) => `${id}: ${html} ${any.map(({ message }) => message).join()}`),
  );
}

/** Everything stays where it is, but for lists that people and events fill and the text that grows as it is written. */
const watchShifts = (page) =>
  page.evaluate(() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const { sources } of list.getEntries()) {
        for (const { node } of sources) {
          const element = node?.nodeType === Node.TEXT_NODE ? node.parentElement : node;
          if (element && !element.closest('#log, #events, #people, #rooms, #say'))
            window.shifts.push(element.outerHTML.slice(0, 120));
        }
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
const shiftsOf = (page) => page.evaluate(() => window.shifts);

test('three people on three servers talk, lose Redis, are told so, and have it back', async () => {
  const [ada, bo, cleo] = await Promise.all([
    open('A'),
    open('B', { colorScheme: 'dark' }),
    open('C', { viewport: phone, deviceScaleFactor: 1.5, colorScheme: 'dark' }),
  ]);
  const pages = [ada, bo, cleo];
  const names = ['Ada', 'Bo', 'Cleo'];
  for (const [i, page] of pages.entries()) {
    await enter(page, names[i]);
    await watchShifts(page);
  }
  // Who is where, on each page.
  for (const page of pages) {
    for (const [i, server] of servers.entries()) {
      await page
        .locator(`#people section[aria-label="On server ${server}"] button`, { hasText: names[i] })
        .waitFor({ state: 'attached' });
    }
    await page.locator('#subtitle', { hasText: '3 people on 3 servers' }).waitFor();
  }

  const talk = [
    [ada, 'Good morning from server A. Who hears me?'],
    [bo, 'I do, on B.'],
    [bo, 'One Redis between us, and it is hardly noticeable.'],
    [cleo, 'Here on C, too. Has anybody pressed the red button?'],
    [ada, 'Not yet. I write something while Redis is down, then we see who gets it.'],
  ];
  for (const [page, words] of talk) {
    await say(page, words);
    for (const each of pages) await text(each, words).waitFor();
  }
  for (const page of pages)
    assert.deepEqual(
      (await said(page)).map((one) => one.text),
      talk.map(([, words]) => words),
    );
  await ada.locator('#figures tr').nth(1).waitFor();
  await ada.waitForFunction(() =>
    [...document.querySelectorAll('#figures tr')].every(
      (row) => Number(row.cells[1].textContent) > 50 && /ms/.test(row.cells[2].textContent),
    ),
  );
  await ada.waitForFunction(() => /ms/.test(document.querySelector('#round-trip').textContent));
  assert.equal(await ada.locator('#verdict').textContent(), 'Nothing is missing.');
  await shot(bo, 'chat-dark');

  await ada.click('#kill');
  await ada.locator('#redis-back', { hasText: /^back in [1-4] s$/ }).waitFor();
  demo.pause(); // Redis stays down until all this is seen
  for (const page of pages) {
    await page
      .locator('#reach[data-is=lost]', {
        hasText: /^LOST: only people on server [ABC] hear you until Redis is back\.$/,
      })
      .waitFor();
    await page.locator('#log .line.lost', { hasText: 'LOST' }).waitFor();
    await page.locator('#redis-state', { hasText: /^down$/ }).waitFor({ state: 'attached' });
  }
  await say(bo, 'Does anybody hear this?');
  await say(ada, 'Only people on A, I suppose.');
  await ada.locator('#log .note', { hasText: 'Only people on server A have this.' }).waitFor();
  await bo.locator('#log .note', { hasText: 'Only people on server B have this.' }).waitFor();
  await shot(cleo, 'chat-phone');
  assert.deepEqual(await accessibilityFaults(ada), []);
  assert.equal(await ada.getAttribute('#kill', 'aria-disabled'), 'true');
  await ada.locator('#verdict', { hasText: 'Cut off. The count comes later.' }).waitFor();
  demo.resume();

  for (const page of pages) {
    await page.locator('#log .line.resumed', { hasText: 'RESUMED' }).waitFor();
    await page.locator('#reach[data-is=whole]').waitFor();
    await page.locator('#redis-state', { hasText: /^up$/ }).waitFor({ state: 'attached' });
  }
  await say(bo, 'We are back.');
  for (const page of [ada, cleo]) await page.locator('#log .line.gap', { hasText: '1 message from Bo' }).waitFor();
  await say(ada, 'And what was missing in between is counted.');
  for (const page of pages) await text(page, 'is counted').waitFor();
  assert.deepEqual(
    (await said(cleo)).map((one) => one.text),
    [...talk.map(([, words]) => words), 'We are back.', 'And what was missing in between is counted.'],
  );
  assert.equal(await text(ada, 'Does anybody hear this?').count(), 0);
  assert.deepEqual(await ada.locator('#log .line b').allTextContents(), ['LOST', 'GAP', 'RESUMED', 'MISSING']);
  await ada.locator('#verdict', { hasText: /^[\d,]+ missing, all of them announced\.$/ }).waitFor();
  await ada.waitForFunction(() =>
    [...document.querySelectorAll('#figures tr')].every((row) => Number(row.cells[1].textContent) > 90),
  );
  await ada.waitForFunction(() => /ms/.test(document.querySelector('#round-trip').textContent));
  await shot(ada, 'chat');
  for (const page of pages) {
    assert.deepEqual(await accessibilityFaults(page), []);
    assert.deepEqual(await shiftsOf(page), []);
  }
  await cleo.getByRole('button', { name: 'Live' }).click();
  assert.deepEqual(await accessibilityFaults(cleo), []);
  await cleo.getByRole('button', { name: 'People' }).click();
  assert.deepEqual(await accessibilityFaults(cleo), []);
});

test('a flood from three servers stands in each page in the order of each sender', async () => {
  const pages = await Promise.all(servers.map((server) => open(server)));
  const names = ['Fay', 'Gus', 'Hal'];
  for (const [i, page] of pages.entries()) await enter(page, names[i]);
  for (const page of pages) await page.locator('#subtitle', { hasText: '3 people on 3 servers' }).waitFor();
  await Promise.all(
    pages.map(async (page, i) => {
      for (let number = 1; number <= 10; ++number) await say(page, `${names[i]} ${number}`);
    }),
  );
  for (const page of pages) {
    await page.waitForFunction(() => document.querySelectorAll('#log .message').length === 30);
    const all = await said(page);
    for (const name of names)
      assert.deepEqual(
        all.filter(({ who }) => who === name).map((one) => one.text),
        Array.from({ length: 10 }, (_, i) => `${name} ${i + 1}`),
      );
    assert.ok(
      await page.evaluate(() => {
        const log = document.querySelector('#log');
        return log.scrollHeight - log.scrollTop - log.clientHeight < 2;
      }),
      'the newest is in sight',
    );
  }
});

test('rooms and private messages, by the keyboard alone', async () => {
  const [ada, bo, cleo] = await Promise.all(servers.map((server) => open(server)));
  await ada.keyboard.type('Ada');
  await ada.keyboard.press('Enter');
  await ada.locator('#text:focus').waitFor();
  await enter(bo, 'Bo');
  await enter(cleo, 'Cleo');
  await person(ada, 'Bo').waitFor();

  /** Goes back or on by Tab until the focus is where it should be. */
  async function tabTo(page, key, selector) {
    for (let i = 0; i < 60; ++i) {
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
      await page.keyboard.press(key);
    }
    assert.fail(`no way to ${selector} by ${key}`);
  }
  await tabTo(ada, 'Shift+Tab', '#new-room-name');
  await ada.keyboard.type('Tea Room');
  await ada.keyboard.press('Enter');
  await ada.locator('#title', { hasText: '# tea room' }).waitFor();
  await ada.locator('#text:focus').waitFor();
  await bo.locator('#rooms button', { hasText: 'tea room' }).click();
  await bo.locator('#title', { hasText: '# tea room' }).waitFor();
  await ada.keyboard.type('first line');
  await ada.keyboard.press('Shift+Enter');
  await ada.keyboard.type('second line');
  await ada.keyboard.press('Enter');
  await text(bo, 'second line').waitFor();
  assert.equal(await text(bo, 'second line').textContent(), 'first line\nsecond line');

  await bo.locator('#subtitle', { hasText: '2 people on 2 servers' }).waitFor();
  const key = await person(ada, 'Cleo').getAttribute('data-key');
  await tabTo(ada, 'Shift+Tab', `[data-key="${key}"]`);
  await ada.keyboard.press('Enter');
  await ada.locator('#title', { hasText: 'Cleo' }).waitFor();
  await ada.keyboard.type('between us');
  await ada.keyboard.press('Enter');
  await text(ada, 'between us').waitFor();
  await person(cleo, 'Ada').locator('.badge', { hasText: '1' }).waitFor();
  await person(cleo, 'Ada').click();
  await text(cleo, 'between us').waitFor();
  await say(cleo, 'and back');
  await text(ada, 'and back').waitFor();
  assert.equal(await cleo.locator('#rooms .badge').count(), 0);
  assert.deepEqual(
    (await said(bo)).map((one) => one.text),
    ['first line\nsecond line'],
  );
  await cleo.setViewportSize(phone);
  await cleo.getByRole('button', { name: 'Live' }).click();
  await ada.keyboard.type('one more');
  await ada.keyboard.press('Enter');
  await cleo.getByRole('button', { name: 'Chat unread' }).click();
  await text(cleo, 'one more').waitFor();
  await cleo.getByRole('button', { name: 'Chat', exact: true }).waitFor();
  await cleo.setViewportSize(desktop);
  await tabTo(ada, 'Tab', '#kill');
  await tabTo(ada, 'Tab', '#pace input');
  await ada.keyboard.press('ArrowRight');
  await cleo.locator('#pace input[value="1000"]:checked').waitFor({ state: 'attached' });
  await cleo.waitForFunction(() =>
    [...document.querySelectorAll('#figures tr')].every(
      (row) => Number(row.cells[1].textContent.replace(',', '')) > 300,
    ),
  );
  await ada.keyboard.press('ArrowLeft');
  await cleo.locator('#pace input[value="100"]:checked').waitFor({ state: 'attached' });
});

test('texts of people are texts, a wrong name is explained, and a reload keeps one in', async () => {
  const [ada, eve] = [await open('A'), await open('B')];
  const name = '<img src=x onerror=a()>';
  const words = '<script>alert(1)</script><b onclick=alert(1)>&amp;';
  await enter(ada, 'Ada');
  await eve.fill('#name', ' ');
  await eve.press('#name', 'Enter');
  await eve.locator('#name-error', { hasText: 'Please enter a name.' }).waitFor();
  await eve.fill('#name', 'ada');
  await eve.press('#name', 'Enter');
  await eve.locator('#name-error', { hasText: 'Somebody is called ada already. Please take another name.' }).waitFor();
  assert.equal(await eve.getAttribute('#name', 'aria-invalid'), 'true');
  assert.deepEqual(await accessibilityFaults(eve), []);
  await enter(eve, name);
  await say(eve, words);
  for (const page of [ada, eve]) {
    await text(page, words).waitFor();
    assert.equal(await page.locator('#log .who b').textContent(), name);
    assert.equal(await page.locator('#log :is(script, img, .text *)').count(), 0);
  }
  await say(eve, '   ');
  await eve.locator('#text-error', { hasText: 'There is nothing to send.' }).waitFor();
  await eve.reload();
  await eve.locator('#say').waitFor();
  assert.equal(await eve.locator('#you .name').textContent(), name);
  await say(eve, 'once more');
  await text(ada, 'once more').waitFor();
  await until(async () => (await ada.locator('#people button').count()) === 2, 'two people');
});

test('a page whose server is killed says so and is in again', async () => {
  const [ada, cleo] = [await open('A'), await open('C')];
  await enter(ada, 'Ada');
  await enter(cleo, 'Cleo');
  await person(ada, 'Cleo').waitFor();
  demo.pause(); // server C stays away until this is seen
  process.kill(demo.pids.C, 'SIGKILL');
  await cleo.locator('#reach', { hasText: 'Server C is away. The page connects again by itself.' }).waitFor();
  await say(cleo, 'not lost');
  await cleo.locator('#text-error', { hasText: 'Server C does not answer.' }).waitFor();
  assert.equal(await cleo.inputValue('#text'), 'not lost');
  demo.resume();
  await cleo.locator('#reach[data-is=whole]').waitFor();
  await person(ada, 'Cleo').waitFor();
  await cleo.locator('#log .line.resumed').waitFor();
  assert.deepEqual(await cleo.locator('#log .line b').allTextContents(), ['LOST', 'GAP', 'RESUMED']);
  await cleo.press('#text', 'Enter');
  await text(ada, 'not lost').waitFor();
});

test('the pages had no error, no dialog, and asked for nothing elsewhere', () => assert.deepEqual(faults, []));
