// Where a visit begins: the requests under way and what is left of the budgets, or the runs of a journal.

import { foreign, h, section, table } from "./dom.js";
import { count, money, oneLine, plural, seconds, short } from "./format.js";
import { meter } from "./spend.js";

const WORDS = { finished: "finished", budget: "budget spent", failed: "failed", cancelled: "cancelled", refused: "refused", left: "client left", null: "not finished" };

export function home(data) {
  return data.kind === "gateway" ? gateway(data) : journal(data);
}

function journal(data) {
  return [h("section", { class: "card", "aria-labelledby": "runs" }, h("h1", { id: "runs" }, "Runs"), h("p", { class: "quiet" }, foreign("span", data.title), ` holds ${plural(data.total, "run")}.`),
    data.runs.length ? runs(data.runs) : h("p", {}, "Nothing is recorded yet."),
    data.total > data.runs.length ? h("p", { class: "quiet small" }, `The first ${count(data.runs.length)} are shown.`) : null)];
}

function gateway(data) {
  const figures = [
    ["under way", count(data.live_in_all)], ...(data.waiting ? [["waiting", count(data.waiting)]] : []), ["requests", count(data.totals.requests)], ["refused", count(data.totals.refused)],
    ["tokens", short(data.totals.tokens)], ["cost", data.totals.usd === null ? "–" : money(data.totals.usd)],
  ];
  return [
    h("header", { class: "card head" }, h("div", { class: "head-top" }, h("h1", {}, "Gateway"), h("span", { class: `state ${data.draining ? "warn" : "good"}` }, data.draining ? "draining" : "serving")),
      h("p", { class: "quiet" }, `Running for ${seconds(data.totals.seconds)}. Figures are since its start${data.owner ? `, of the key ${data.owner}` : ""}.`),
      h("dl", { class: "figures" }, figures.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("span", { class: "big figure" }, value)))))),
    h("div", { class: "grid" },
      section("Under way", { class: "card wide" }, data.live.length ? runs(data.live) : h("p", { class: "quiet" }, "No request is under way."),
        data.live_in_all > data.live.length ? h("p", { class: "quiet small" }, `${count(data.live_in_all - data.live.length)} more are not shown.`) : null),
      data.budgets.length ? section("Budgets", { class: "card wide" }, data.budgets.map((each) => h("div", { class: "account" },
        h("h3", {}, foreign("bdi", each.name)),
        h("ul", { class: "meters" }, each.limits.map((limit) => meter(limit, true)))))) : null,
      upstreams(data.upstreams),
      section("Ended", { class: "card wide" }, data.recent.length ? runs(data.recent) : h("p", { class: "quiet" }, "None yet."))),
  ];
}

function upstreams(models) {
  const rows = Object.entries(models).flatMap(([model, all]) => all.map((each) => {
    const row = [foreign("bdi", model), foreign("bdi", each.upstream), h("span", { class: each.healthy && each.breaker === "closed" ? "" : "failed" },
      each.healthy ? (each.breaker === "closed" ? "healthy" : `breaker ${each.breaker.replaceAll("_", " ")}`) : "out of reach"), `${count(each.in_flight)} of ${count(each.limit)}`, foreign("span", oneLine(each.reason || "", 120))];
    row.numeric = new Set([3]);
    return row;
  }));
  return rows.length ? section("Upstreams", { class: "card wide" }, table("Upstreams", ["model", "upstream", "state", "calls", ""], rows)) : null;
}

function runs(list) {
  return h("ul", { class: "runs", onkeydown: between }, list.map((each) => {
    const failed = each.state === "failed" || each.state === "refused";
    const name = each.title || each.name;
    const line = [
      h("div", { class: "run-head" }, foreign("bdi", oneLine(name, 90), { class: "run-name" }),
        each.strategy ? h("span", { class: "quiet small run-strategy" }, each.strategy.replaceAll("_", " ")) : null,
        h("span", { class: `state small ${failed ? "bad" : each.state === null ? "live" : each.state === "finished" ? "good" : "warn"}` }, each.running ? "under way" : WORDS[each.state] || each.state)),
      h("div", { class: "run-body small" },
        said(each),
        h("span", { class: "quiet figure" }, [each.samples === undefined ? null : plural(each.samples ?? 0, "sample"), each.tokens === null || each.tokens === undefined ? null : `${short(each.tokens)} tokens`, seconds(each.seconds)].filter(Boolean).join(" · "))),
    ];
    return h("li", {}, each.closed ? h("div", { class: "run" }, line) : h("a", { class: "run", href: `#/run/${encodeURIComponent(each.name)}`, "data-key": `run-${each.name}` }, line));
  }));
}

function said(each) {
  if (each.title) return h("span", { class: "quiet run-answer" }, [each.key, each.name, each.reason].filter(Boolean).join(" · "));
  if (each.answer !== null && each.answer !== undefined) return foreign("bdi", oneLine(each.answer, 110), { class: "run-answer" });
  return h("span", { class: "quiet" }, each.reason || (each.state === null ? "no answer yet" : "no answer"));
}

function between(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const links = [...event.currentTarget.querySelectorAll("a.run")], at = links.indexOf(document.activeElement);
  if (!step || at < 0) return;
  event.preventDefault();
  links[Math.min(links.length - 1, Math.max(0, at + step))].focus();
}
