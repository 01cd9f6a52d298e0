// One run: what was asked, what was answered and why, what it cost, and all that it is made of.

import { foreign, h, section, table } from "./dom.js";
import { count, dimension, money, oneLine, percent, plural, seconds, short, weight } from "./format.js";
import { glance } from "./glance.js";
import { samples } from "./samples.js";
import { meters, spend } from "./spend.js";
import { isTree, tree } from "./tree.js";
import { scores, votes } from "./votes.js";

const STATES = {
  finished: ["finished", "good"], budget: ["budget spent", "warn"], failed: ["failed", "bad"], cancelled: ["cancelled", "warn"], null: ["not finished", "live"],
};

export function run(view, state, source, changed) {
  const list = samples(view, state, source, changed);
  const open = (id) => { state.tree = view.samples.findIndex((each) => each.id === id); list.open(id); };
  const scored = isTree(view) ? null : scores(view); // a tree shows them itself
  const pictures = isTree(view) ? tree(view, state, open) : [scored, glance(view, open, !scored)];
  return [
    head(view),
    h("div", { class: "grid" }, votes(view, state, changed), spend(view), pictures, list.element, steps(view), settings(view)),
  ];
}

function head(view) {
  const [word, kind] = STATES[view.state] || [view.state, ""];
  const usage = view.usage;
  const unknown = usage.unknown_prompt_tokens + usage.unknown_completion_tokens;
  const tokens = usage.prompt_tokens + usage.completion_tokens;
  const figures = [
    ["samples", count(usage.samples), view.under_way ? `${count(view.under_way)} under way` : usage.calls !== usage.samples ? plural(usage.calls, "call") : ""],
    ["tokens", short(tokens), `${short(usage.completion_tokens)} generated${unknown ? `, up to ${short(unknown)} lost` : ""}`],
    ["cost", usage.usd === null ? "–" : money(usage.usd), usage.usd === null ? "no price known" : ""],
    ["time", seconds(view.wall_seconds), usage.seconds > 0 ? `${seconds(usage.seconds)} of work` : ""],
    ["confidence", view.confidence === null ? "–" : view.confidence >= 0 && view.confidence <= 1 ? percent(view.confidence) : weight(view.confidence), ""],
  ];
  return h("header", { class: "card head" },
    h("div", { class: "head-top" }, h("h1", {}, view.settings.strategy ? view.settings.strategy.replaceAll("_", " ") : "Recorded samples"), h("span", { class: `state ${kind}` }, word)),
    view.problem.text ? problem(view.problem) : view.problem.id ? h("p", { class: "quiet small" }, "Problem ", foreign("bdi", view.problem.id)) : null,
    h("p", { class: "label-line" }, view.state ? "Answer" : "Best answer so far"),
    view.answer === null ? h("p", { class: "answer none" }, view.state ? "No answer" : "None yet") : foreign("p", view.answer, { class: view.answer.length > 80 ? "answer long" : "answer" }),
    foreign("p", why(view), { class: "why" }),
    view.texts ? h("p", { class: "note" }, view.texts) : null,
    view.notes.map((note) => h("p", { class: "note" }, "Answers and scores can’t be told apart here: ", foreign("span", note), ". The samples are as recorded.")),
    h("dl", { class: "figures" }, figures.map(([name, value, more]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("span", { class: "big figure" }, value), more ? h("span", { class: "quiet small" }, more) : null)))),
    meters(view.budget));
}

function problem({ text, length }) {
  const shown = foreign("p", text, { class: "problem" });
  if (text.length < 320) return shown;
  return h("details", { class: "problem-box" }, h("summary", { "data-key": "problem" }, h("bdi", {}, oneLine(text, 200))), shown,
    length > Array.from(text).length ? h("p", { class: "quiet small" }, `${count(length - Array.from(text).length)} more characters are not shown.`) : null);
}

// The choice in one or two sentences.
function why(view) {
  const said = [];
  const [first, second] = view.classes;
  if (view.answer !== null && first?.chosen && first.weight !== null) {
    const total = view.classes.reduce((sum, each) => sum + (each.weight ?? 0), 0);
    const rival = second?.weight ? `; next is “${oneLine(second.text, 40)}” with ${weight(second.weight)}` : "; nothing else got any";
    said.push(`${Number.isInteger(total) ? "" : "A weight of "}${weight(first.weight)} of ${weight(total)}${Number.isInteger(total) ? " votes" : ""}${rival}.`);
  } else if (view.answer !== null && view.chosen) {
    const sample = view.samples.find((each) => each.id === view.chosen);
    said.push(sample?.score !== null && sample?.score !== undefined ? `It is sample ${view.chosen}’s, whose score is ${weight(sample.score)}.` : `It is sample ${view.chosen}’s.`);
  }
  if (view.submissions.length > 1) said.push(`${plural(view.submissions.length, "answer")} are handed in together.`);
  if (view.state === "budget") said.push(view.reason ? `It stopped because ${lowered(view.reason)}.` : "It stopped because its budget was spent.");
  else if (view.reason) said.push(`${view.reason.replace(/\.$/, "").replace(/^[a-z]/, (letter) => letter.toUpperCase())}.`);
  else if (view.state === "finished") said.push("The strategy ended by itself.");
  else if (view.state === null) said.push("The run has not ended: it is under way, or was stopped and can be resumed.");
  return said.join(" ");
}

function lowered(text) {
  return text.replace(/\.$/, "").replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}

function steps(view) {
  if (!view.steps.length) return null;
  const rows = view.steps.slice(0, 300).map((step) => {
    const row = [step.place, spoken(step), step.done ? "" : "not finished"];
    row.numeric = new Set([0]);
    return row;
  });
  const left = view.steps_in_all - rows.length;
  return h("details", { class: "card wide" }, h("summary", { "data-key": "steps" }, h("h2", {}, "What the strategy asked for"), h("span", { class: "quiet" }, ` ${count(view.steps_in_all)}`)),
    table("What the strategy asked for", ["place", "operation", ""], rows), left > 0 ? h("p", { class: "quiet small" }, `${count(left)} more are not shown.`) : null);
}

function spoken(step) {
  if (step.kind === "generate") return `${step.n === null ? "samples until the budget is spent" : plural(step.n, "sample")} from the ${step.role}`;
  if (step.kind === "score") return `${step.values === undefined ? "scores" : plural(step.values, "score")} from the ${step.role}`;
  if (step.method === "answers") return step.values === undefined ? "answers" : plural(step.values, "answer");
  return `${step.method || step.kind} of the ${step.role}`;
}

function settings(view) {
  const { strategy, parameters, budget, sampling, verifiers, roles, ...rest } = view.settings;
  const rows = [];
  const add = (name, value) => { if (value !== null && value !== undefined && value !== "" && value !== "no limit") rows.push([name, foreign("span", typeof value === "string" ? value : JSON.stringify(value))]); };
  add("strategy", strategy);
  for (const [name, value] of Object.entries(parameters)) add(name, value ?? "fill the budget");
  add("budget", budget);
  for (const [name, value] of Object.entries(rest)) add(name, value);
  for (const [name, value] of Object.entries({ ...verifiers, ...roles })) add(name, value);
  for (const [role, values] of Object.entries(sampling || {})) for (const [name, value] of Object.entries(values || {})) if (!(Array.isArray(value) && !value.length)) add(`${role === "generator" ? "" : `${role}: `}${dimension(name)}`, value);
  return h("details", { class: "card wide" }, h("summary", { "data-key": "settings" }, h("h2", {}, "Settings")), table("Settings", ["setting", "value"], rows));
}
