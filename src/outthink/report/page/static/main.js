// Starts the page: which run is asked for by the address, getting it, drawing it, and drawing it again while it goes on.

import { focusIn, h, refill } from "./dom.js";
import { oneLine } from "./format.js";
import { home } from "./home.js";
import { run } from "./run.js";
import { Locked, source as opened } from "./source.js";

const EVERY = 2000; // milliseconds between looks at something that goes on
const source = opened();
const main = document.getElementById("main"), where = document.getElementById("where"), live = document.getElementById("live");
const states = new Map(); // what is selected, filtered and unfolded, by address
let visit = 0, timer = null, last = "";

async function show(again = false) {
  const mine = ++visit, address = location.hash || "#/";
  clearTimeout(timer);
  try {
    const [name, data] = await wanted(address);
    if (mine !== visit) return;
    const text = JSON.stringify(data);
    if (!again || text !== last) {
      last = text;
      draw(address, name, data, again);
    }
    const going = name === null ? data.kind === "gateway" : data.state === null && data.live === true;
    live.textContent = going ? "live" : "";
    if (going) timer = setTimeout(() => (document.hidden ? waitUntilSeen() : show(true)), EVERY);
  } catch (error) {
    if (mine !== visit) return;
    if (error instanceof Locked) return locked();
    if (again) {
      live.textContent = error.message;
      timer = setTimeout(() => show(true), EVERY * 3);
      return;
    }
    last = "";
    main.replaceChildren(h("div", { class: "card" }, h("h1", {}, "This can’t be shown"), h("p", {}, error.message),
      h("p", {}, h("button", { type: "button", onclick: () => show() }, "Try again"))));
  }
}

async function wanted(address) {
  const asked = address.startsWith("#/run/") ? decodeURIComponent(address.slice(6)) : null;
  if (asked !== null) return [asked, await source.run(asked)];
  const data = await source.home();
  if (data.kind === "journal" && data.total === 1) return [data.runs[0].name, await source.run(data.runs[0].name)];
  return [null, data];
}

function draw(address, name, data, again) {
  const state = states.get(address) || {};
  states.set(address, state);
  const changed = (change) => {
    Object.assign(state, change);
    draw(address, name, data, true);
  };
  const kept = again ? remembered() : null;
  refill(main, name === null ? home(data) : run(data, state, source, changed));
  const title = name === null ? data.title || "Gateway" : data.problem.text || data.name;
  document.title = `${oneLine(title, 60)} – Outthink`;
  refill(where, name === null ? null : h("bdi", {}, oneLine(title, 80)));
  if (kept) recalled(kept);
  else if (address !== "#/" || visit > 1) {
    main.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
}

function remembered() {
  const focused = document.activeElement;
  return {
    key: focused?.dataset?.key, at: focused?.selectionStart ?? null, top: window.scrollY,
    open: [...main.querySelectorAll("details[open] > summary[data-key]")].map((each) => each.dataset.key),
    scrolled: [...main.querySelectorAll("[data-scroll]")].map((each) => [each.dataset.scroll, each.scrollTop, each.scrollLeft]),
  };
}

function recalled({ key, at, top, open, scrolled }) {
  for (const each of open) main.querySelector(`summary[data-key="${CSS.escape(each)}"]`)?.parentElement.setAttribute("open", "");
  for (const [name, down, across] of scrolled) {
    const element = main.querySelector(`[data-scroll="${name}"]`);
    if (element) { element.scrollTop = down; element.scrollLeft = across; }
  }
  if (key) focusIn(main, key);
  if (key && at !== null && document.activeElement?.type === "search") document.activeElement.setSelectionRange(at, at);
  window.scrollTo(0, top);
}

function locked() {
  const wrong = source.unlocked;
  source.lock();
  last = "";
  where.replaceChildren();
  live.textContent = "";
  const field = h("input", { type: "password", id: "key", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": wrong ? "wrong" : null });
  main.replaceChildren(h("form", { class: "card unlock", onsubmit: (event) => { event.preventDefault(); source.unlock(field.value.trim()); show(); } },
    h("h1", {}, "Sign in"), h("p", { class: "quiet" }, "This gateway has keys. Yours shows the requests that were made with it; it is kept in this tab only."),
    h("label", { for: "key" }, "API key"), field, wrong ? h("p", { class: "failed", id: "wrong", role: "alert" }, "The gateway doesn’t take this key.") : null,
    h("p", {}, h("button", { class: "main-button" }, "Show"))));
  field.focus();
}

function waitUntilSeen() {
  document.addEventListener("visibilitychange", () => show(true), { once: true });
}

addEventListener("hashchange", () => show());
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && location.hash.startsWith("#/run/") && !document.querySelector("dialog[open]") && !(document.activeElement?.type === "search" && document.activeElement.value)) location.hash = "#/";
});
show();
