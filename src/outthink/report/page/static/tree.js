// The tree of a run: which sample continues which, coloured by score, walked with the arrow keys.

import { h, narrow, s, section, table } from "./dom.js";
import { count, decimal, oneLine, plural } from "./format.js";

const MOST = 500; // drawn nodes
const SIBLINGS = 6; // ended ones beside each other; the others are counted
const DOWN = 18, LEFT = 20, ABOVE = 18, NAMES = 120; // pixels

// In seven steps from low to high, or "unscored".
export function shade(score, scores) {
  if (score === null || !scores) return "unscored";
  const [low, high] = scores;
  return `s${high > low ? Math.min(6, Math.floor(((score - low) / (high - low)) * 7)) : 3}`;
}

export function isTree(view) {
  return view.samples.some((each) => each.parent !== null);
}

export function tree(view, state, open) {
  const plan = planned(view);
  const placed = [...plan.nodes.values()];
  const chosen = new Set(lineage(view));
  const depth = Math.max(...placed.map((node) => node.depth));
  const across = narrow() ? 54 : depth > 12 ? 64 : Math.min(150, Math.floor(900 / depth)); // it scrolls where that is too wide
  const width = LEFT * 2 + depth * across + NAMES, height = ABOVE * 2 + plan.rows * DOWN;
  const x = (node) => LEFT + node.depth * across, y = (node) => ABOVE + node.row * DOWN;
  const edges = placed.filter((node) => node.above).map((node) => {
    const middle = (x(node.above) + x(node)) / 2;
    return s("path", { class: chosen.has(node.index) ? "edge chosen" : "edge",
      d: `M${x(node.above)} ${y(node.above)}C${middle} ${y(node.above)} ${middle} ${y(node)} ${x(node)} ${y(node)}` });
  });
  const focused = placed.find((node) => node.index === state.tree) || placed.filter((node) => chosen.has(node.index)).at(-1) || placed[0];
  const marks = placed.map((node) => {
    const sample = view.samples[node.index];
    return s("g", {
      class: `node ${shade(sample.score, view.scores)}${chosen.has(node.index) ? " chosen" : ""}${sample.id === view.chosen ? " ring" : ""}`,
      role: "treeitem", tabindex: node === focused ? "0" : "-1", "aria-level": node.depth, "aria-label": spoken(view, sample),
      "aria-selected": sample.id === view.chosen ? "true" : "false", "data-key": `node-${sample.id}`, "data-index": node.index,
      transform: `translate(${x(node)} ${y(node)})`, onclick: () => open(sample.id),
    }, s("title", {}, spoken(view, sample)), s("circle", { r: 11, class: "reach" }), s("circle", { r: 5.5, class: "face" }),
    name(view, node, sample));
  });
  const picture = s("svg", { class: "tree", width, height, viewBox: `0 0 ${width} ${height}`, role: "tree", "aria-label": "Samples and what continues them",
    onkeydown: (event) => walk(event, view, plan, open) },
  s("g", { role: "presentation" }, edges), s("g", { role: "presentation", class: "root", transform: `translate(${LEFT} ${y(plan.root)})` }, s("rect", { x: -6, y: -6, width: 12, height: 12, rx: 3 }), more(plan.root)), marks);
  const left = view.samples.filter(inTree).length - placed.length;
  const box = h("div", { class: "scroll tree-box", "data-scroll": "tree" }, picture);
  requestAnimationFrame(() => {
    const [top, end] = [y(plan.root), chosen.size ? y(focused) : y(plan.root)];
    const both = Math.abs(top - end) < box.clientHeight - 2 * ABOVE; // the root and the chosen one, or the chosen one alone
    if (!box.scrollTop) box.scrollTop = (both ? (top + end) / 2 : end) - box.clientHeight / 2;
  });
  return section("Tree", { class: "card wide" },
    h("p", { class: "quiet small" }, "Each dot is a sample that continues the one to its left. ", h("span", { class: "keys" }, "Arrow keys walk the tree, Enter opens a sample.")),
    box, legend(view),
    left > 0 ? h("p", { class: "quiet small" }, `${plural(left, "sample")} that nothing continues ${left === 1 ? "is" : "are"} counted beside ${left === 1 ? "its" : "their"} parents and not drawn.`) : null,
    generations(view));
}

function name(view, node, sample) {
  if (node.hidden || node.children.length) return more(node);
  if (sample.answer === null) return null;
  return s("text", { x: 12, y: 4, class: sample.id === view.chosen ? "label strong start" : "label start" }, oneLine(sample.answer, 14));
}

function more(node) {
  return node.hidden ? s("text", { x: -3, y: 17, class: "label start" }, `+${node.hidden}`) : null;
}

export function legend(view) {
  if (!view.scores) return null;
  const [low, high] = view.scores;
  return h("p", { class: "legend small" }, "score ", h("span", { class: "figure" }, decimal(low)),
    s("svg", { width: 98, height: 12, viewBox: "0 0 98 12", "aria-hidden": "true" }, [0, 1, 2, 3, 4, 5, 6].map((at) => s("rect", { class: `swatch s${at}`, x: at * 14, y: 1, width: 13, height: 10 }))),
    h("span", { class: "figure" }, decimal(high)),
    h("span", { class: "key" }, s("svg", { width: 12, height: 12, viewBox: "-6 -6 12 12", "aria-hidden": "true" }, s("circle", { r: 4.5, class: "swatch unscored" })), "not scored"));
}

function inTree(sample) {
  return sample.state === "ok" && !sample.inside;
}

export function lineage(view) {
  const way = [];
  let at = view.samples.findIndex((each) => each.id === view.chosen);
  while (at >= 0 && at !== null && way.length < 10000) {
    way.push(at);
    at = view.samples[at].parent;
  }
  return way.reverse();
}

function planned(view) {
  const below = new Map(), chosen = new Set(lineage(view));
  view.samples.forEach((sample, index) => {
    if (!inTree(sample)) return;
    const key = sample.parent ?? -1;
    if (!below.has(key)) below.set(key, []);
    below.get(key).push(index);
  });
  // Breadth first, so that a tree too large loses its deepest leaves first; the chosen path is always there.
  const nodes = new Map(), kept = new Map(), queue = [-1];
  while (queue.length) {
    const parent = queue.shift();
    const children = below.get(parent) || [];
    const keep = [];
    let ended = 0, hidden = 0;
    for (const index of ordered(children, below, chosen, view)) {
      const needed = chosen.has(index);
      if (!needed && (nodes.size >= MOST || (!below.has(index) && ended >= SIBLINGS))) { hidden += 1; continue; }
      if (!below.has(index)) ended += 1;
      keep.push(index);
    }
    keep.sort((a, b) => a - b);
    for (const index of keep) { nodes.set(index, null); queue.push(index); }
    kept.set(parent, { keep, hidden });
  }
  const root = { index: -1, depth: 0, row: 0, above: null, children: [], hidden: kept.get(-1)?.hidden || 0 };
  let rows = 0;
  const stack = [[root, false]];
  while (stack.length) {
    const [node, done] = stack.pop();
    const { keep = [] } = kept.get(node.index) || {};
    if (done) {
      node.row = node.children.length ? (node.children[0].row + node.children.at(-1).row) / 2 : rows++;
      continue;
    }
    stack.push([node, true]);
    node.children = keep.map((index) => ({ index, depth: node.depth + 1, row: 0, above: node, children: [], hidden: kept.get(index)?.hidden || 0 }));
    for (const child of [...node.children].reverse()) { nodes.set(child.index, child); stack.push([child, false]); }
  }
  return { root, nodes, rows: Math.max(rows, 1) };
}

function ordered(children, below, chosen, view) {
  const rank = (index) => (chosen.has(index) ? 2 : 0) + (below.has(index) ? 1 : 0);
  return [...children].sort((a, b) => rank(b) - rank(a) || (view.samples[b].score ?? -Infinity) - (view.samples[a].score ?? -Infinity) || a - b);
}

function spoken(view, sample) {
  const parts = [`Sample ${sample.id}`, sample.score === null ? (sample.scored ? "no score" : null) : `score ${decimal(sample.score)}`];
  if (sample.answer !== null) parts.push(`answer ${oneLine(sample.answer, 40)}`);
  else parts.push(oneLine(sample.text, 60));
  if (sample.id === view.chosen) parts.push("chosen");
  return parts.filter(Boolean).join(", ");
}

function walk(event, view, plan, open) {
  const index = Number(event.target.closest?.("[data-index]")?.dataset.index);
  const node = plan.nodes.get(index);
  if (!node) return;
  const column = [...plan.nodes.values()].filter((each) => each.depth === node.depth).sort((a, b) => a.row - b.row);
  const at = column.indexOf(node);
  const moves = {
    ArrowRight: () => node.children[Math.floor((node.children.length - 1) / 2)],
    ArrowLeft: () => (node.above?.index >= 0 ? node.above : null),
    ArrowUp: () => column[at - 1], ArrowDown: () => column[at + 1], Home: () => column[0], End: () => column.at(-1),
  };
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    open(view.samples[index].id);
  } else if (moves[event.key]) {
    event.preventDefault();
    const target = moves[event.key]();
    if (!target) return;
    const svg = event.currentTarget;
    svg.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    const element = svg.querySelector(`[data-index="${target.index}"]`);
    element.setAttribute("tabindex", "0");
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function generations(view) {
  const continued = new Set(view.samples.filter((each) => each.parent !== null).map((each) => each.parent));
  const levels = [];
  view.samples.forEach((sample, index) => {
    if (!inTree(sample)) return;
    const level = (levels[sample.depth] ||= { samples: 0, on: 0, scores: [] });
    level.samples += 1;
    level.on += continued.has(index) ? 1 : 0;
    if (sample.score !== null) level.scores.push(sample.score);
  });
  const rows = levels.map((level, at) => {
    const mean = level.scores.length ? level.scores.reduce((a, b) => a + b, 0) / level.scores.length : null;
    const best = level.scores.length ? level.scores.reduce((a, b) => Math.max(a, b)) : null;
    const row = [count(at + 1), count(level.samples), count(level.on), mean === null ? "–" : decimal(mean), best === null ? "–" : decimal(best)];
    row.numeric = new Set([0, 1, 2, 3, 4]);
    return row;
  });
  return h("details", {}, h("summary", { "data-key": "generations" }, `Generations (${count(levels.length)})`),
    table("Generations", ["step", "samples", "went on", "mean score", "best score"], rows));
}
