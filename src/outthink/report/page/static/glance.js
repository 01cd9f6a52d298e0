// Every sample of a run without a tree as one small square, in the order it was asked for, coloured by its answer.

import { h, s, section } from "./dom.js";
import { count, oneLine, plural } from "./format.js";
import { colour } from "./votes.js";

export function glance(view, open, wide) {
  const shown = view.samples.filter((each) => !each.inside);
  if (shown.length < 2) return null;
  const columns = Math.min(shown.length, shown.length > 1500 ? 100 : shown.length > 300 ? 60 : 32);
  const cell = 10, gap = 2, width = columns * cell, height = Math.ceil(shown.length / columns) * cell;
  const paths = new Map();
  let ring = null;
  shown.forEach((sample, at) => {
    const left = (at % columns) * cell, top = Math.floor(at / columns) * cell;
    const kind = sample.state !== "ok" ? "failed" : colour(sample.class);
    const size = cell - gap;
    const mark = kind === "failed" ? `M${left + 1} ${top + 1}l${size - 2} ${size - 2}M${left + size - 1} ${top + 1}l${2 - size} ${size - 2}`
      : `M${left} ${top}h${size}v${size}h${-size}z`;
    paths.set(kind, (paths.get(kind) || "") + mark);
    if (sample.id === view.chosen) ring = s("rect", { class: "mark-ring", x: left - 1, y: top - 1, width: cell, height: cell, rx: 1.5 });
  });
  const failed = shown.filter((each) => each.state !== "ok").length;
  const named = view.classes.slice(0, 7).filter((each) => each.samples);
  const picture = s("svg", {
    class: "glance", viewBox: `-2 -2 ${width + 2} ${height + 2}`, width: width * 1.6, role: "img",
    "aria-label": `${plural(shown.length, "sample")} in the order they were asked for${failed ? `, ${count(failed)} failed` : ""}.`,
    onclick: (event) => {
      const box = event.currentTarget.getBoundingClientRect();
      const scale = (width + 2) / box.width;
      const column = Math.floor(((event.clientX - box.left) * scale - 2) / cell), row = Math.floor(((event.clientY - box.top) * scale - 2) / cell);
      const sample = shown[row * columns + column];
      if (sample && column >= 0 && column < columns) open(sample.id);
    },
  }, [...paths].map(([kind, d]) => s("path", { d, class: kind === "failed" ? "cross" : `fill ${kind}` })), ring);
  return section("Samples at a glance", { class: wide ? "card wide" : "card" }, picture,
    h("p", { class: "legend small" }, named.map((each, place) => h("span", { class: "key" }, h("span", { class: `chip ${colour(view.classes.indexOf(each))}`, "aria-hidden": "true" }), h("bdi", {}, oneLine(each.text, 24)))),
      shown.some((each) => each.state === "ok" && each.class === null) ? h("span", { class: "key" }, h("span", { class: "chip none", "aria-hidden": "true" }), "no answer") : null,
      view.classes.filter((each, place) => place >= 7 && each.samples).length ? h("span", { class: "key" }, h("span", { class: "chip rest", "aria-hidden": "true" }), "others") : null,
      failed ? h("span", { class: "key" }, h("span", { class: "failed-key", "aria-hidden": "true" }, "×"), "failed") : null));
}
