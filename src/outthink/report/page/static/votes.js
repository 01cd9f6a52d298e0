// The answers of a run and how heavy each is: bars, with the scores of the samples behind them.

import { foreign, h, narrow, s, section } from "./dom.js";
import { count, decimal, oneLine, percent, plural, weight } from "./format.js";

const SHOWN = 8;

// The colour of an answer class: the first one (the chosen) has the accent, the next six their own, all others one grey.
export function colour(place) {
  return place === null || place === undefined ? "none" : place < 7 ? `k${place}` : "rest";
}

export function votes(view, state, changed) {
  const weighted = view.classes.some((each) => each.weight !== null);
  const value = (each) => (weighted ? each.weight ?? 0 : each.samples);
  const total = view.classes.reduce((sum, each) => sum + value(each), 0);
  const most = Math.max(...view.classes.map(value), 1e-12);
  const shown = state.allClasses ? view.classes : view.classes.slice(0, SHOWN);
  const title = weighted ? (view.state ? "Votes" : "Votes so far") : "Answers";
  if (!view.classes.length) {
    const why = view.samples.some((each) => each.extracted) ? "No sample holds a valid answer." : "No answers were compared.";
    return section(title, { class: "card" }, h("p", { class: "quiet" }, why));
  }
  const rows = shown.map((each, place) => {
    const share = total ? value(each) / total : null;
    const notes = [plural(each.samples, "sample"), weighted && share !== null ? percent(share) : null].filter(Boolean).join(" · ");
    return h("li", { class: each.chosen ? "vote chosen" : "vote" },
      h("div", { class: "vote-head" },
        h("span", { class: `chip ${colour(place)}`, "aria-hidden": "true" }),
        foreign("span", oneLine(each.text, 60), { class: "vote-name", title: oneLine(each.text, 300) }),
        each.chosen ? h("span", { class: "badge" }, "chosen") : null,
        h("span", { class: "vote-value" }, weight(value(each)))),
      bar(value(each) / most, colour(place)),
      h("div", { class: "quiet small" }, notes));
  });
  const left = view.classes_in_all - shown.length;
  return section(title, { class: "card" },
    h("ol", { class: "votes" }, rows),
    left > 0 ? h("p", {}, h("button", { type: "button", "data-key": "all-classes", onclick: () => changed({ allClasses: true }) },
      `Show ${plural(left, "more answer")}`)) : null,
    view.invalid ? h("p", { class: "quiet small" }, `${plural(view.invalid, "sample")} held no valid answer and didn’t vote.`) : null,
    view.tie ? h("p", { class: "small" }, "Another answer was as heavy: the higher scores, then the earlier one decided.") : null);
}

function bar(share, kind) {
  return s("svg", { class: "bar-picture", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "track", width: 100, height: 8, rx: 0 }),
    s("rect", { class: `fill ${kind}`, width: Math.max(0.6, 100 * share), height: 8 }));
}

// Every scored sample as a dot, one row per answer: what best-of-n looked at.
export function scores(view) {
  const scored = view.samples.filter((each) => each.score !== null && !each.inside);
  const asked = view.samples.filter((each) => each.scored && !each.inside);
  if (!asked.length) return null;
  if (!scored.length) {
    return section("Scores", { class: "card" }, h("p", { class: "quiet" }, `The verifier couldn’t say for ${plural(asked.length, "sample")}.`));
  }
  const [low, high] = span(scored.map((each) => each.score));
  const rows = [...new Set(scored.map((each) => (each.class !== null && each.class < 7 ? each.class : -1)))].sort((a, b) => (a < 0 ? 99 : a) - (b < 0 ? 99 : b));
  const width = narrow() ? 330 : 560, left = 118, right = 14, line = 30, height = rows.length * line + 30;
  const x = (score) => left + ((score - low) / (high - low)) * (width - left - right);
  const drawn = rows.flatMap((place, row) => {
    const members = scored.filter((each) => (place < 0 ? each.class === null || each.class >= 7 : each.class === place));
    const y = row * line + 16;
    const name = place < 0 ? "other or none" : oneLine(view.classes[place].text, 15);
    return [
      s("text", { x: left - 10, y: y + 4, class: "label end" }, name),
      s("line", { x1: left, x2: width - right, y1: y, y2: y, class: "rule" }),
      members.slice(0, 1500).map((each) => s("circle", {
        cx: x(each.score).toFixed(1), cy: (y + jitter(each.id)).toFixed(1), r: each.id === view.chosen ? 6 : 4,
        class: `dot ${colour(place < 0 ? null : place)}${each.id === view.chosen ? " ring" : ""}`,
      }, s("title", {}, `${each.id}: ${decimal(each.score)}`))),
    ];
  });
  const axis = [low, (low + high) / 2, high].map((value, at) =>
    s("text", { x: x(value), y: height - 4, class: `label ${["start", "middle", "end"][at]}` }, decimal(value)));
  const unsaid = asked.length - scored.length;
  const best = scored.reduce((a, b) => (b.score > a.score ? b : a));
  return section("Scores", { class: "card" },
    s("svg", { class: "picture", viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Scores of ${plural(scored.length, "sample")}, from ${decimal(low)} to ${decimal(high)}; the best is ${best.id}.` }, drawn, axis),
    h("p", { class: "quiet small" }, `${plural(scored.length, "sample")} scored`, unsaid ? `; the verifier couldn’t say for ${count(unsaid)}` : "",
      view.chosen && scored.some((each) => each.id === view.chosen) ? "; the ring is the chosen sample." : "."));
}

function span(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

function jitter(id) {
  let hash = 0;
  for (const character of id) hash = (hash * 31 + character.codePointAt(0)) % 997;
  return (hash / 997 - 0.5) * 13;
}
