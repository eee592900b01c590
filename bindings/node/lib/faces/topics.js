'use strict';
// Who is in which topic of this process: what the faces keep for their own sockets.

/** Topics and their members, and members and their topics. Neither keeps what is empty. */
class Topics {
  #members = new Map(); // topic -> Set of members
  #topics = new Map(); // member -> Set of topics

  /** Whether the topic has its first member now. */
  add(topic, member) {
    const isFirst = put(this.#members, topic, member);
    put(this.#topics, member, topic);
    return isFirst;
  }

  /** Whether the topic has lost its last member now. */
  remove(topic, member) {
    take(this.#topics, member, topic);
    return take(this.#members, topic, member);
  }

  /** Takes the member out of all its topics; returns those that have none left. */
  removeMember(member) {
    return [...this.topicsOf(member)].filter((topic) => this.remove(topic, member));
  }

  has(topic, member) {
    return this.#members.get(topic)?.has(member) ?? false;
  }

  hasTopic(topic) {
    return this.#members.has(topic);
  }

  membersOf(topic) {
    return this.#members.get(topic) ?? none;
  }

  topicsOf(member) {
    return this.#topics.get(member) ?? none;
  }

  get topics() {
    return [...this.#members.keys()];
  }

  clear() {
    this.#members.clear();
    this.#topics.clear();
  }
}

const none = new Set();

function put(map, key, value) {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
  return set === undefined;
}

function take(map, key, value) {
  const set = map.get(key);
  if (set === undefined || !set.delete(value) || set.size > 0) return false;
  return map.delete(key);
}

module.exports = { Topics };
