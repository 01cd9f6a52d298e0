// What was spent when, what was offered on the way, and how near the budget is.

import { foreign, h, narrow, s, section, table } from "./dom.js";
import { amount, count, dimension, oneLine, percent, plural, seconds, short } from "./format.js";

export function meters(limits) {
  if (!limits.length) return null;
  return h("ul", { class: "meters", "aria-label": "Budget" }, limits.map((each) => meter(each)));
}

// alarm: coming near to the limit is worth a colour (a day's budget; a run may well spend all that it was given)
export function meter({ dimension: name, limit, spent, label }, alarm = false) {
  const share = limit > 0 && spent !== null ? spent / limit : spent ? 1 : 0;
  const said = `${amount(name, spent)} of ${amount(name, limit)}`;
  const words = label || dimension(name);
  return h("li", { class: "meter" },
    h("div", { class: "meter-head" }, h("span", {}, words), h("span", { class: "figure" }, said)),
    s("svg", { class: "bar-picture", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img",
      "aria-label": `${words}: ${said}, ${percent(Math.min(share, 9.99))}` },
    s("rect", { class: "track", width: 100, height: 8 }),
    s("rect", { class: `fill ${!alarm || share <= 0.8 ? "calm" : share < 1 ? "near" : "full"}`, width: Math.min(100, Math.max(share > 0 ? 0.6 : 0, 100 * share)), height: 8 })));
}

export function spend(view) {
  const { timed, points } = view.spend;
  if (points.length < 2) return section("Spend", { class: "card" }, h("p", { class: "quiet" }, "Nothing has arrived yet."));
  const inTokens = points.at(-1)[2] > 0;
  const at = timed ? (point) => point[0] : (point) => point[1];
  const of = (point) => point[inTokens ? 2 : 1];
  const end = Math.max(timed ? view.spend.wall_seconds : 0, at(points.at(-1)), 1e-9);
  const bound = view.budget.find((each) => each.dimension === (inTokens ? "tokens" : "samples"));
  const top = Math.max(of(points.at(-1)), 1) * 1.06;
  const shown = bound && bound.limit <= top * 1.6 ? Math.max(top, bound.limit * 1.06) : top;
  const width = narrow() ? 330 : 560, height = narrow() ? 220 : 250, left = 46, right = 14, above = 14, below = 40;
  const x = (value) => left + (value / end) * (width - left - right);
  const y = (value) => height - below - (value / shown) * (height - above - below);
  let path = `M${x(at(points[0])).toFixed(1)} ${y(of(points[0])).toFixed(1)}`;
  for (const point of points.slice(1)) path += `H${x(at(point)).toFixed(1)}V${y(of(point)).toFixed(1)}`;
  path += `H${x(end).toFixed(1)}`;
  const area = `${path}V${y(0)}H${x(at(points[0])).toFixed(1)}Z`;
  const ticks = nice(shown).map((value) => [
    s("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "rule" }),
    s("text", { x: left - 8, y: y(value) + 4, class: "label end" }, short(value)),
  ]);
  const times = nice(end).filter((value) => value > 0 || timed).map((value) =>
    s("text", { x: x(value), y: height - below + 18, class: `label ${x(value) > width - 40 ? "end" : "middle"}` }, value === 0 ? "0" : timed ? seconds(value) : count(value)));
  const limit = bound && bound.limit <= shown ? [
    s("line", { x1: left, x2: width - right, y1: y(bound.limit), y2: y(bound.limit), class: "limit" }),
    s("text", { x: left + 4, y: y(bound.limit) - 5, class: "label start" }, `budget ${short(bound.limit)}`),
  ] : null;
  const unit = inTokens ? "tokens" : "samples";
  const over = timed ? "time" : "samples, in the order they arrived";
  return section(timed ? "Spend over time" : "Spend", { class: "card" },
    s("svg", { class: "picture", viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `${unit} spent against ${over}: ${short(of(points.at(-1)))} ${unit} ${timed ? `in ${seconds(end)}` : ""}; ${plural(view.offers.length, "answer")} on the way.` },
    ticks, times, s("path", { d: area, class: "area" }), s("path", { d: path, class: "line" }), limit,
    marks(view, timed, inTokens, x, y, width),
    s("text", { x: left, y: height - 4, class: "label start" }, `${unit} against ${over}`)),
    offered(view, timed));
}

function marks(view, timed, inTokens, x, y, width) {
  const placed = view.offers.map((offer) => ({ offer, across: x(timed ? offer.seconds ?? NaN : offer.samples), up: y(inTokens ? offer.tokens : offer.samples) }))
    .filter(({ across }) => Number.isFinite(across));
  // Of offers at nearly the same moment the last one is named: it is what the answer was from then on.
  let end = -Infinity;
  return placed.map(({ offer, across, up }, place) => {
    const name = oneLine(offer.answer ?? "no answer", 14);
    const late = across > width - 100;
    const start = late ? across - 8 - name.length * 7 : across + 3;
    const last = !(placed[place + 1]?.across - across < 8);
    const room = last && start > end;
    if (room) end = late ? Infinity : start + name.length * 7 + 6;
    return [
      s("circle", { cx: across, cy: up, r: 4.5, class: "offer" }, s("title", {}, `${name}, after ${plural(offer.samples, "sample")}`)),
      room ? s("text", { x: late ? across - 8 : across + 3, y: up - 10, class: `label strong ${late ? "end" : "start"}` }, name) : null,
    ];
  });
}

function offered(view, timed) {
  if (!view.offers.length) return h("p", { class: "quiet small" }, "No answer was offered on the way.");
  const rows = view.offers.map((offer) => {
    const row = [
      foreign("span", oneLine(offer.answer ?? "none", 60)), count(offer.samples), count(offer.tokens),
      timed ? seconds(offer.seconds) : "", offer.confidence === null ? "" : percent(offer.confidence),
    ];
    row.numeric = new Set([1, 2, 3, 4]);
    return row;
  });
  return h("details", {}, h("summary", { "data-key": "offers" }, `Answers on the way (${count(view.offers.length)})`),
    table("Answers on the way", ["answer", "samples", "tokens", "time", "confidence"], rows));
}

function nice(most) {
  const rough = most / 4, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((each) => each * size >= rough) * size;
  const found = [];
  for (let value = 0; value <= most * 1.0001; value += step) found.push(value);
  return found;
}
