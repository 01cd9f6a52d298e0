// How numbers, times and foreign text are written. Nothing here touches the page.

const SPACE = "\u202f"; // narrow, no break

export function count(value) {
  if (value === null || value === undefined) return "?";
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, SPACE);
}

export function short(value) {
  if (value === null || value === undefined) return "?";
  if (value >= 999500) return `${trimmed((value / 1e6).toPrecision(3))}M`;
  if (value >= 9999.5) return `${trimmed((value / 1e3).toPrecision(3))}k`;
  return Number.isInteger(value) ? count(value) : decimal(value);
}

export function decimal(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toPrecision(3).replace("-", "−");
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return (size < 0.01 && size > 0 ? value.toFixed(4) : value.toFixed(digits)).replace("-", "−");
}

export function weight(value) {
  return value === null || value === undefined ? "" : Number.isInteger(value) ? count(value) : decimal(value);
}

export function percent(share) {
  return share === null || share === undefined ? "" : `${trimmed((100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0))}%`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "?";
  if (value < 0.9995) return `${Math.round(value * 1000)}${SPACE}ms`;
  if (value < 99.95) return `${trimmed(value.toFixed(1))}${SPACE}s`;
  if (value < 5940) {
    const whole = Math.round(value);
    return whole % 60 ? `${Math.floor(whole / 60)}${SPACE}min ${whole % 60}${SPACE}s` : `${whole / 60}${SPACE}min`;
  }
  return `${(value / 3600).toFixed(1)}${SPACE}h`;
}

export function money(usd) {
  if (usd === null || usd === undefined) return "price unknown";
  if (usd === 0) return "$0";
  return usd < 0.01 ? `$${trimmed(usd.toPrecision(2))}` : `$${usd.toFixed(usd < 1 && Math.round(usd * 1000) % 10 ? 3 : 2)}`;
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function amount(dimension, value) {
  if (value === null || value === undefined) return "?";
  if (dimension === "usd") return money(value);
  return dimension === "seconds" ? seconds(value) : short(value);
}

const DIMENSIONS = {
  samples: "samples", completion_tokens: "completion tokens", prompt_tokens: "prompt tokens", tokens: "tokens",
  calls: "calls", seconds: "time", usd: "money", requests: "requests",
};

export function dimension(name) {
  return DIMENSIONS[name] || name.replaceAll("_", " ");
}

// Control, direction and broken characters are shown, not obeyed.
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

export function visible(text) {
  const whole = String(text).replaceAll("\r\n", "\n");
  return (whole.toWellFormed ? whole.toWellFormed() : whole).replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : "\ufffd";
  });
}

export function oneLine(text, most = 120) {
  const flat = visible(text.slice(0, most * 4)).replace(/\s+/g, " ").trim();
  return flat.length > most || text.length > most * 4 ? `${Array.from(flat).slice(0, most - 1).join("")}…` : flat;
}

function trimmed(text) {
  return text.includes(".") && !text.includes("e") ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
}
