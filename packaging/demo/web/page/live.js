// The figures, their chart, and what fanwire said.
import { $, chip, clock, el, show } from './dom.js';

const kSeconds = 60;
const kEvents = 5;
const kGridMs = 15_000;

const whole = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });
const milliseconds = (us) =>
  us === null ? '–' : us < 10_000 ? `${(us / 1000).toFixed(1)} ms` : `${whole.format(us / 1000)} ms`;

export class Live {
  #points = []; // {at, rates: {server: rate}}
  #outages = []; // {from, to}
  #canvas = $('chart');
  #reducedTo = '';

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  figures(peers) {
    const cell = (text) => el('td', {}, text);
    show($('figures'), peers, () =>
      peers.map(({ server, rate, p50, p99, missing }) =>
        el(
          'tr',
          {},
          el('th', { scope: 'row' }, chip(server)),
          cell(whole.format(rate)),
          cell(milliseconds(p50)),
          cell(milliseconds(p99)),
          cell(whole.format(missing)),
        ),
      ),
    );
    const missing = peers.reduce((sum, one) => sum + one.missing, 0);
    const silent = peers.reduce((sum, one) => sum + one.silent, 0);
    const isOut = this.#outages.length > 0 && this.#outages.at(-1).to === undefined;
    const verdict = isOut
      ? 'Cut off. The count comes later.'
      : missing === 0
        ? 'Nothing is missing.'
        : silent === 0
          ? `${whole.format(missing)} missing, all of them announced.`
          : `${whole.format(silent)} of ${whole.format(missing)} missing without a word.`;
    if ($('verdict').textContent !== verdict) $('verdict').textContent = verdict;
    $('verdict').dataset.is = isOut ? 'silent' : missing === 0 ? 'whole' : silent === 0 ? 'told' : 'silent';
    this.#points.push({ at: Date.now(), rates: Object.fromEntries(peers.map(({ server, rate }) => [server, rate])) });
    const since = Date.now() - (kSeconds + 2) * 1000;
    this.#points = this.#points.filter(({ at }) => at > since);
    this.#outages = this.#outages.filter(({ to }) => to === undefined || to > since);
    this.#draw();
  }

  roundTrip(ms) {
    $('round-trip').textContent = ms === undefined ? '–' : milliseconds(ms * 1000);
  }

  outage(isOut) {
    const last = this.#outages.at(-1);
    if (isOut && (last === undefined || last.to !== undefined)) this.#outages.push({ from: Date.now() });
    if (!isOut && last !== undefined) last.to ??= Date.now();
  }

  /** kind: lost, gap, resumed or plain. */
  event(kind, word, text) {
    const list = $('events');
    list.prepend(
      el('li', { class: kind }, el('time', {}, clock(Date.now(), true)), el('b', {}, word), el('span', {}, text)),
    );
    while (list.childElementCount > kEvents) list.lastElementChild.remove();
  }

  #draw() {
    const canvas = this.#canvas;
    const { clientWidth: width, clientHeight: height } = canvas;
    const scale = devicePixelRatio || 1;
    if (width === 0) return;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const pen = canvas.getContext('2d');
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const color = (name) => getComputedStyle(canvas).getPropertyValue(name);
    const now = Date.now();
    const x = (at) => width - ((now - at) / (kSeconds * 1000)) * width;
    const servers = [...new Set(this.#points.flatMap(({ rates }) => Object.keys(rates)))].sort();
    const top = Math.max(10, ...this.#points.flatMap(({ rates }) => Object.values(rates))) * 1.15;
    const y = (rate) => height - 1 - (rate / top) * (height - 2);

    pen.fillStyle = color('--lost-soft');
    for (const { from, to = now } of this.#outages) pen.fillRect(x(from), 0, Math.max(2, x(to) - x(from)), height);
    pen.fillStyle = color('--line');
    for (let at = now - (now % kGridMs); at > now - kSeconds * 1000; at -= kGridMs)
      pen.fillRect(Math.round(x(at)), 0, 1, height);
    pen.fillRect(0, height - 1, width, 1);
    for (const server of servers) {
      pen.beginPath();
      for (const { at, rates } of this.#points) if (server in rates) pen.lineTo(x(at), y(rates[server]));
      pen.strokeStyle = color(`--server-${server}`);
      pen.lineWidth = 1.75;
      pen.lineJoin = 'round';
      pen.stroke();
    }
    const legend = `0 to ${whole.format(top / 1.15)} a second, the last minute`;
    if (this.#reducedTo !== legend) $('legend').textContent = this.#reducedTo = legend;
  }
}
