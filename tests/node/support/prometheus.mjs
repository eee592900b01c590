// A strict reader of Prometheus's text exposition format 0.0.4: what it takes, Prometheus takes. Throws on anything else.
const kName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const kTypes = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];
const kValue = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN)$/;

const numberOf = (text) => {
  if (!kValue.test(text)) throw new Error(`not a number: ${text}`);
  return Number(text.replace('Inf', 'Infinity'));
};

// {name, labels, value} of one sample's line.
function parseSample(line) {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0];
  if (name === undefined) throw new Error(`no name: ${line}`);
  let rest = line.slice(name.length);
  const labels = {};
  if (rest[0] === '{') {
    rest = rest.slice(1);
    while (rest[0] !== '}') {
      const pair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|(?=\}))/.exec(rest);
      if (pair === null) throw new Error(`labels: ${line}`);
      if (pair[1] in labels) throw new Error(`label ${pair[1]} twice: ${line}`);
      labels[pair[1]] = pair[2].replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
      rest = rest.slice(pair[0].length);
    }
    rest = rest.slice(1);
  }
  const value = /^ (\S+)$/.exec(rest)?.[1];
  if (value === undefined) throw new Error(`value: ${line}`);
  return { name, labels, value: numberOf(value) };
}

function checkHistogram(family) {
  const series = new Map(); // by the labels without le
  for (const { name, labels: { le, ...others }, value } of family.samples) {
    const key = JSON.stringify(others);
    const one = series.get(key) ?? { buckets: [] };
    series.set(key, one);
    const part = name.slice(family.name.length + 1);
    if ((part === 'bucket') !== (le !== undefined)) throw new Error(`le: ${name}`);
    if (part === 'bucket') one.buckets.push([numberOf(le), value]);
    else one[part] = value;
  }
  for (const { buckets, sum, count } of series.values()) {
    if (sum === undefined || count === undefined) throw new Error(`${family.name}: no sum or count`);
    buckets.forEach(([le, value], i) => {
      const [below, less] = buckets[i - 1] ?? [-Infinity, 0];
      if (le <= below || value < less) throw new Error(`${family.name}: bucket ${le}`);
    });
    const [last, all] = buckets.at(-1) ?? [];
    if (last !== Infinity || all !== count) throw new Error(`${family.name}: +Inf is not the count`);
  }
}

/** The families by name: Map of {name, type, help, samples: [{name, labels, value}]}. */
export function parsePrometheus(text) {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map();
  const seen = new Set();
  let family; // the lines of one stand together
  const begin = (name) => {
    if (!kName.test(name)) throw new Error(`name: ${name}`);
    if (family?.name === name && family.samples.length === 0) return;
    if (families.has(name)) throw new Error(`${name} is not in one piece`);
    family = { name, type: 'untyped', help: undefined, samples: [] };
    families.set(name, family);
  };
  for (const line of text.slice(0, -1).split('\n')) {
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      begin(name);
      if (family.help !== undefined) throw new Error(`HELP twice: ${line}`);
      if (/\\(?![\\n])/.test(rest)) throw new Error(`HELP: ${line}`);
      family.help = rest;
    } else if (keyword === 'TYPE') {
      begin(name);
      if (family.type !== 'untyped' || !kTypes.includes(rest)) throw new Error(`TYPE: ${line}`);
      family.type = rest;
    } else {
      const sample = parseSample(line);
      const suffixes = family?.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
      if (!suffixes.some((suffix) => sample.name === family?.name + suffix)) throw new Error(`not of ${family?.name}: ${line}`);
      const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
      if (seen.has(key)) throw new Error(`twice: ${line}`);
      seen.add(key);
      if (family.type === 'counter' && !(sample.value >= 0)) throw new Error(`a counter below 0: ${line}`);
      family.samples.push(sample);
    }
  }
  for (const one of families.values()) {
    if (one.samples.length === 0) throw new Error(`${one.name} has no samples`);
    if (one.type === 'histogram') checkHistogram(one);
  }
  return families;
}
