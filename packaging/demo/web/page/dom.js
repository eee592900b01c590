// Small things for the page. Texts are always text nodes, never HTML.

export const $ = (id) => document.getElementById(id);

/** An element with attributes (undefined and false: none) and children, which are elements and texts; no child: undefined or false. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

export const chip = (server) => el('span', { class: 'chip', 'data-server': server, title: `server ${server}` }, server);

export const clock = (at, seconds = false) =>
  new Date(at).toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    ...(seconds && { second: '2-digit' }),
  });

/** Replaces the children when what they show is different, so the focus and the selection stay. */
export function show(parent, key, make) {
  const text = JSON.stringify(key);
  if (parent.dataset.shown === text) return;
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  parent.dataset.shown = text;
  parent.replaceChildren(...make());
  if (focused !== undefined)
    [...parent.querySelectorAll('[data-key]')].find(({ dataset }) => dataset.key === focused)?.focus();
}
