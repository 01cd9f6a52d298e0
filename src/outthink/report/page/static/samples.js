// All samples of a run: a list that draws only the rows in sight, with a filter, and one sample in full beside it.

import { foreign, h, refill, section } from "./dom.js";
import { amount, count, decimal, oneLine, plural, seconds, visible } from "./format.js";
import { lineage, shade } from "./tree.js";
import { colour } from "./votes.js";

const ROW = 44; // pixels; style.css has the same
const WIDE = "(min-width: 62rem)";

export function samples(view, state, source, changed) {
  const rows = filtered(view, state);
  const list = h("div", { class: "list", role: "listbox", tabindex: "0", "aria-label": "Samples", "data-key": "list", "data-scroll": "list" });
  const canvas = h("div", { class: "canvas" });
  canvas.style.height = `${rows.length * ROW}px`;
  list.append(canvas);
  list.style.height = `${Math.min(Math.max(rows.length, 1) * ROW + 2, Math.max(280, window.innerHeight * 0.6))}px`;
  const detail = h("div", { class: "detail", "aria-live": "polite" });
  const dialog = h("dialog", { class: "sheet", "aria-label": "Sample" });
  const model = { view, state, rows, list, canvas, detail, dialog, source, drawn: [-1, -1] };
  list.addEventListener("scroll", () => draw(model), { passive: true });
  list.addEventListener("keydown", (event) => pressed(model, event));
  list.addEventListener("click", (event) => {
    const at = Number(event.target.closest("[data-at]")?.dataset.at);
    if (Number.isInteger(at)) select(model, at, true);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  requestAnimationFrame(() => { draw(model); restore(model); });
  const open = (id) => {
    let at = rows.findIndex((each) => each.id === id);
    if (at < 0) { Object.assign(state, { search: "", only: "all" }); changed({ selected: id, reveal: true }); return; }
    scrollTo(model, at);
    select(model, at, true);
    if (matchMedia(WIDE).matches) detail.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  };
  const all = view.samples.length;
  const left = view.samples_in_all - all;
  const element = section("Samples", { class: "card wide" }, tools(view, state, changed),
    h("p", { class: "quiet small", role: "status" }, rows.length === all ? plural(all, "sample") : `${count(rows.length)} of ${plural(all, "sample")}`,
      left > 0 ? `; ${count(left)} more are not shown` : "", view.under_way ? `; ${count(view.under_way)} under way` : "", "."),
    rows.length ? h("div", { class: "beside" }, list, detail) : h("p", {}, all ? "None fits the filter." : "No sample has arrived."), dialog);
  return { element, open };
}

function tools(view, state, changed) {
  const search = h("input", { type: "search", "aria-label": "Search in answers and texts", placeholder: "Search", "data-key": "search", value: state.search || "",
    oninput: (event) => changed({ search: event.target.value }) });
  const choose = (key, label, options) => h("select", { "aria-label": label, "data-key": key, onchange: (event) => changed({ [key]: event.target.value }) },
    options.map(([value, name]) => h("option", { value, selected: (state[key] || options[0][0]) === value }, name)));
  const only = [["all", "All answers"], ...view.classes.slice(0, 30).map((each, at) => [`class ${at}`, oneLine(each.text, 40)])];
  if (view.samples.some((each) => each.state === "ok" && each.class === null)) only.push(["none", "No answer"]);
  if (view.samples.some((each) => each.state !== "ok")) only.push(["failed", "Failed"]);
  if (view.samples.some((each) => each.inside)) only.push(["inside", "The verifier’s own"]);
  const sorts = [["order", "In order"], ["score", "Best score first"], ["tokens", "Most tokens first"]].filter(([name]) => name !== "score" || view.scores);
  return h("div", { class: "tools" }, search, choose("only", "Which samples", only), choose("sort", "Order", sorts));
}

function filtered(view, state) {
  const only = state.only || "all", wanted = (state.search || "").toLowerCase();
  const fits = {
    all: () => true, none: (each) => each.state === "ok" && each.class === null,
    failed: (each) => each.state !== "ok", inside: (each) => each.inside,
  }[only] || ((each) => `class ${each.class}` === only);
  const found = view.samples.filter((each) => fits(each)
    && (!wanted || each.id.includes(wanted) || each.text.toLowerCase().includes(wanted) || (each.answer || "").toLowerCase().includes(wanted)));
  if (state.sort === "score") found.sort((a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity));
  if (state.sort === "tokens") found.sort((a, b) => (b.tokens ?? -1) - (a.tokens ?? -1));
  return found;
}

function draw(model) {
  const { rows, list, canvas, state, view } = model;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 8), last = Math.min(rows.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 8);
  if (model.drawn[0] === first && model.drawn[1] === last) return;
  model.drawn = [first, last];
  canvas.replaceChildren(...rows.slice(first, last).map((sample, at) => row(view, sample, first + at, rows.length, state.selected === sample.id)));
}

function row(view, sample, at, of, selected) {
  const failed = sample.state !== "ok";
  const text = failed ? sample.reason || "failed" : sample.answer ?? sample.text;
  const element = h("div", { class: "row", role: "option", id: `sample-${at}`, "data-at": at, "aria-setsize": of, "aria-posinset": at + 1, "aria-selected": selected ? "true" : "false" },
    h("span", { class: `chip ${failed ? "bad" : colour(sample.class)}`, "aria-hidden": "true" }),
    h("span", { class: "row-id figure" }, sample.id),
    h("bdi", { class: failed ? "row-text failed" : sample.answer === null ? "row-text quiet" : "row-text", dir: "auto" }, oneLine(text, 140) || "(empty)"),
    sample.id === view.chosen ? h("span", { class: "badge" }, "chosen") : null,
    sample.score !== null ? h("span", { class: `score figure ${shade(sample.score, view.scores)}` }, decimal(sample.score)) : null,
    h("span", { class: "row-tokens figure quiet" }, sample.tokens === null ? "" : `${count(sample.tokens)} tok`));
  element.style.top = `${at * ROW}px`;
  return element;
}

function pressed(model, event) {
  const { rows, state, list } = model;
  const at = rows.findIndex((each) => each.id === state.selected), page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: rows.length - 1 }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    const next = Math.min(rows.length - 1, Math.max(0, to));
    scrollTo(model, next);
    select(model, next, false);
  } else if ((event.key === "Enter" || event.key === " ") && at >= 0) {
    event.preventDefault();
    select(model, at, true);
  }
}

function scrollTo({ list }, at) {
  const top = at * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
}

function select(model, at, open) {
  const { rows, state, list, detail, dialog, view, source } = model;
  state.selected = rows[at].id;
  model.drawn = [-1, -1];
  draw(model);
  list.setAttribute("aria-activedescendant", `sample-${at}`);
  if (matchMedia(WIDE).matches) refill(detail, shown(view, rows[at], source, (id) => jump(model, id)));
  else if (open) {
    refill(dialog, h("form", { method: "dialog", class: "sheet-head" }, h("button", { class: "close" }, "Close")),
      shown(view, rows[at], source, (id) => { dialog.close(); jump(model, id); }));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }
}

function jump(model, id) {
  const at = model.rows.findIndex((each) => each.id === id);
  if (at < 0) return;
  scrollTo(model, at);
  select(model, at, true);
}

function restore(model) {
  const { rows, state } = model;
  const wide = matchMedia(WIDE).matches;
  let at = rows.findIndex((each) => each.id === state.selected);
  if (at < 0 && wide) at = Math.max(0, rows.findIndex((each) => each.id === model.view.chosen));
  if (at < 0 || !rows.length) return;
  if (state.reveal) scrollTo(model, at);
  if (wide || state.reveal) select(model, at, state.reveal);
  state.reveal = false;
}

function shown(view, sample, source, jumpTo) {
  const usage = sample.usage;
  const facts = [
    ["answer", sample.answer === null ? (sample.extracted ? "none that is valid" : null) : foreign("span", sample.answer)],
    ["score", sample.scored ? (sample.score === null ? "the verifier couldn’t say" : decimal(sample.score)) : null],
    ["earlier scores", sample.all_scores.length ? sample.all_scores.map(([, score]) => decimal(score)).join(", ") : null],
    ["ended", sample.finish ? FINISH[sample.finish] || sample.finish : null],
    ["role", sample.role && sample.role !== "generator" ? sample.role : null],
    ["completion tokens", sample.tokens === null ? "unknown" : count(sample.tokens)],
    ["prompt tokens", usage.prompt_tokens ? `${count(usage.prompt_tokens)}${usage.cached_tokens ? `, ${count(usage.cached_tokens)} cached` : ""}` : null],
    ["hidden reasoning", usage.reasoning_tokens ? `${count(usage.reasoning_tokens)} tokens` : null],
    ["lost, at most", usage.unknown_completion_tokens || usage.unknown_prompt_tokens ? `${count((usage.unknown_completion_tokens || 0) + (usage.unknown_prompt_tokens || 0))} tokens` : null],
    ["attempts", usage.calls > 1 ? count(usage.calls) : null],
    ["money", usage.usd ? amount("usd", usage.usd) : null],
    ["took", usage.seconds ? seconds(usage.seconds) : null],
    ["arrived", sample.arrived === null ? null : `${seconds(sample.arrived)} after the start`],
    ...Object.entries(sample.summary).map(([name, value]) => [name.replaceAll("_", " "), value === null ? "–" : decimal(value)]),
  ].filter(([, value]) => value !== null);
  const way = lineage({ ...view, chosen: sample.id }).slice(0, -1);
  return [
    h("h3", { class: "detail-title" }, "Sample ", h("span", { class: "figure" }, sample.id), sample.id === view.chosen ? [" ", h("span", { class: "badge" }, "chosen")] : null),
    sample.state !== "ok" ? h("p", { class: "failed" }, "It never arrived: ", foreign("span", sample.reason || "no reason is recorded")) : null,
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "figure" }, value)))),
    way.length ? h("div", { class: "way" }, h("p", { class: "small quiet" }, `It continues ${way.length === 1 ? "one sample" : `${count(way.length)} samples`}:`),
      h("ol", {}, way.map((at) => h("li", {}, h("button", { type: "button", class: "link", onclick: () => jumpTo(view.samples[at].id) }, view.samples[at].id),
        " ", h("bdi", { class: "quiet" }, oneLine(view.samples[at].text, 70)))))) : null,
    sample.given.trim() ? [h("p", { class: "small quiet" }, "The strategy put this before it:"), foreign("pre", sample.given, { class: "given" })] : null,
    sample.state === "ok" ? body(view, sample, source) : null,
    sample.message ? [h("p", { class: "small quiet" }, "Beside its text:"), foreign("pre", sample.message, { tabindex: "0", "aria-label": "Beside its text" })] : null,
  ];
}

const FINISH = { eos: "by itself", stop: "at a stop string", length: "at its token limit", cancelled: "left by the strategy", filtered: "withheld by the server", other: "for a reason unknown" };

function body(view, sample, source) {
  const pre = foreign("pre", sample.text || "(empty)", { tabindex: "0", "aria-label": "Text of the sample" });
  const left = sample.length - Array.from(sample.text).length;
  if (left <= 0) return pre;
  const more = h("button", { type: "button", onclick: async () => {
    more.disabled = true;
    try {
      const whole = await source.text(view.name, sample.id);
      if (whole === null) { more.replaceWith(h("p", { class: "quiet small" }, "This file holds no more of it.")); return; }
      pre.textContent = visible(whole.text);
      more.remove();
    } catch (error) {
      more.disabled = false;
      more.textContent = `${error.message} Try again`;
    }
  } }, `Show ${plural(left, "more character")}`);
  return [pre, h("p", {}, more)];
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
