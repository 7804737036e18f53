"use strict";
// What is asked of the server of this page. What it says of a mistake is one line, which is shown as it is.
const Server = {
  token: new URLSearchParams(location.search).get("token") || "",
  address(path) { return `${path}?token=${encodeURIComponent(this.token)}`; },

  async get(path) { return (await this.fetch(path, {})).json(); },
  post(path, message) {
    const headers = { "Content-Type": "application/json" };
    return this.fetch(path, { method: "POST", headers, body: JSON.stringify(message) });
  },
  async fetch(path, how) {
    let response;
    try {
      response = await fetch(this.address(path), how);
    } catch {
      throw new Error("The studio does not answer. Is its terminal still open?");
    }
    return this.checked(response);
  },
  async checked(response) {
    if (response.ok) return response;
    let line = `The studio refused this (${response.status}).`;
    try { line = (await response.json()).error; } catch { /* no JSON */ }
    throw new Error(line.charAt(0).toUpperCase() + line.slice(1) + (line.endsWith(".") ? "" : "."));
  },

  state() { return this.get("/state"); },
  async answer(message) { return (await this.post("/answer", message)).json(); },
  async drop(file) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    let text = "";
    for (let n = 0; n < bytes.length; n += 32768) text += String.fromCharCode(...bytes.subarray(n, n + 32768));
    return (await this.post("/drop", { name: file.name.slice(-1000), data: btoa(text) })).json();
  },
  async export(message) { return (await this.post("/export", message)).blob(); },
};
