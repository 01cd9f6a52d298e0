// Where the data comes from: this very file (a saved page), or the server that gave the page.

const KEY = "outthink-key";

export class Locked extends Error {}

export function source() {
  const embedded = document.getElementById("data");
  return embedded ? new Embedded(JSON.parse(embedded.textContent)) : new Remote();
}

class Embedded {
  constructor(document) {
    this.document = document;
  }

  async home() {
    return this.document.home;
  }

  async run(name) {
    const view = this.document.views.find((each) => each.name === name);
    if (!view) throw new Error("This run is not in the file: it was too large, or the file holds other runs.");
    return view;
  }

  async text() {
    return null; // what is not in the file can't be had
  }
}

class Remote {
  home() {
    return this.get("data/home");
  }

  run(name) {
    return this.get("data/run", { run: name });
  }

  text(run, sample) {
    return this.get("data/sample", { run, sample });
  }

  unlock(key) {
    sessionStorage.setItem(KEY, key);
  }

  lock() {
    sessionStorage.removeItem(KEY);
  }

  get unlocked() {
    return sessionStorage.getItem(KEY) !== null;
  }

  async get(path, asked = {}) {
    const key = sessionStorage.getItem(KEY);
    const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== undefined && value !== null)).toString();
    let response;
    try {
      response = await fetch(query ? `${path}?${query}` : path, {
        headers: key ? { Authorization: `Bearer ${key}` } : {}, cache: "no-store", redirect: "error",
      });
    } catch {
      throw new Error("The server can't be reached.");
    }
    if (response.status === 401 || response.status === 403) throw new Locked("This needs a key.");
    const body = await response.json().catch(() => null);
    if (!response.ok || body === null) throw new Error(body?.error?.message || `The server answered ${response.status}.`);
    return body;
  }
}
