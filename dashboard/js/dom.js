/** The little that is needed to make elements, and to change only what changed. */

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties] of the element; `dataset` and `attributes` are taken apart
 * @param {...(Node | string)} children
 */
export function element(tag, { dataset = {}, attributes = {}, ...properties } = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  Object.assign(node.dataset, dataset);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Writes text, unless it is there already. */
export function write(node, text) {
  const first = node.firstChild;
  if (first?.nodeType === Node.TEXT_NODE && first === node.lastChild) {
    if (first.data !== text) first.data = text;
  } else if (first || text !== '') {
    node.textContent = text;
  }
}

/** Sets `data-{name}`, or takes it away: a flag that CSS reads. */
export function mark(node, name, isOn) {
  if (name in node.dataset === isOn) return;
  if (isOn) node.dataset[name] = '';
  else delete node.dataset[name];
}

/**
 * Makes a list's children those of `nodes`, in this order, and moves none that is in its place.
 * @param {Element} parent
 * @param {Element[]} nodes
 */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, place) => {
    const there = parent.children[place];
    if (there !== node) parent.insertBefore(node, there ?? null);
  });
}

/**
 * Does something at once, but then not again before some time has passed; what is asked for meanwhile is done then.
 * @param {() => void} work
 * @param {number} gap milliseconds
 */
export function spaced(work, gap) {
  let doneAt = -Infinity;
  let timer = 0;
  const now = () => {
    timer = 0;
    doneAt = performance.now();
    work();
  };
  return () => {
    if (timer !== 0) return;
    const wait = doneAt + gap - performance.now();
    if (wait <= 0) now();
    else timer = setTimeout(now, wait);
  };
}

/**
 * Draws at most once a frame, whatever is asked for in between. A hidden page draws nothing.
 * @param {() => void} draw
 */
export function perFrame(draw) {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      draw();
    });
  };
}
