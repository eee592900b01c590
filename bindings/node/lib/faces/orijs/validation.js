'use strict';
// What topics and socket ids may be, and the schemas of emit().

const { load } = require('../packages.js');

const MAX_TOPIC_LENGTH = 256;
const UUID_V4_REGEX = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const kTopic = /^[\w:.-]+$/;

/** Whether it has no characters but those of topics, which JSON has no need to escape. */
const isPlain = (text) => kTopic.test(text);

function validateTopic(topic) {
  if (!topic) throw new Error('Topic cannot be empty');
  if (topic.length > MAX_TOPIC_LENGTH) throw new Error(`Topic name too long (max ${MAX_TOPIC_LENGTH} characters)`);
  if (typeof topic === 'string' && isPlain(topic)) return;
  throw new Error('Topic contains invalid characters (allowed: a-z, A-Z, 0-9, _, :, ., -)');
}

function validateSocketId(socketId) {
  if (!socketId) throw new Error('Socket ID cannot be empty');
  if (typeof socketId === 'string' && UUID_V4_REGEX.test(socketId)) return;
  throw new Error('Invalid socket ID format (must be UUID v4)');
}

const textOf = (error) => (error instanceof Error ? error.message : String(error));

const kTypeBox = Symbol.for('TypeBox.Kind');

/** {data}, or {errors: [{path, message}]}: by a function, a Standard Schema, or a schema of TypeBox. */
async function check(schema, data) {
  if (typeof schema === 'function') {
    try {
      return { data: await schema(data) };
    } catch (error) {
      return { errors: [{ path: '', message: textOf(error) }] };
    }
  }
  if (schema?.['~standard'] !== undefined) {
    const { issues, value } = await schema['~standard'].validate(data);
    if (issues === undefined) return { data: value };
    return { errors: issues.map(({ path, message }) => ({ path: pathOf(path), message })) };
  }
  if (typeof schema === 'object' && schema !== null && kTypeBox in schema) {
    const { Value } = load('fanwire/orijs', '@sinclair/typebox/value', '@orijs/validation');
    const errors = [...Value.Errors(schema, data)];
    return errors.length === 0 ? { data: Value.Decode(schema, data) } : { errors };
  }
  throw new Error('Unknown schema type');
}

const pathOf = (path = []) => path.map((part) => part?.key ?? part).join('.');

/** The payload of a message of emit(), or an error that says what is wrong with its data. */
async function encodeMessage({ name, dataSchema }, data) {
  const result = await check(dataSchema, data);
  if (result.errors === undefined) return JSON.stringify({ name, data: result.data, timestamp: Date.now() });
  const details = result.errors.map(({ path, message }) => `${path}: ${message}`).join(', ');
  throw new Error(`Socket message validation failed for "${name}": ${details}`);
}

module.exports = { isPlain, validateTopic, validateSocketId, encodeMessage, textOf, MAX_TOPIC_LENGTH, UUID_V4_REGEX };
