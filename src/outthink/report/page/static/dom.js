// Makes elements. Text from models only ever enters as text nodes and attributes, never as markup.

import { visible } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

export function refill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

// Text of a model: shown in its own direction, with nothing obeyed that is in it.
export function foreign(tag, text, attributes = {}) {
  return h(tag, { dir: "auto", ...attributes }, visible(text));
}

export function narrow() {
  return matchMedia("(max-width: 30rem)").matches;
}

let made = 0;

export function unique(name) {
  made += 1;
  return `${name}-${made}`;
}

export function section(title, attributes, ...children) {
  const id = unique("title");
  return h("section", { "aria-labelledby": id, ...attributes }, h("h2", { id }, title), ...children);
}

export function table(caption, heads, rows) {
  const numeric = (at) => rows.length > 0 && rows.every((row) => row[at] === "" || typeof row[at] === "number" || row.numeric?.has(at));
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h("table", {}, h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, heads.map((head, at) => h("th", { scope: "col", class: numeric(at) ? "number" : null }, head)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, at) => h("td", { class: numeric(at) ? "number" : null }, cell)))))));
}

export function focusIn(element, key) {
  element?.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}
