// The console's live parts. Every page works without it.
"use strict";

const MOST_ROWS = 200;
const parse = (html) => new DOMParser().parseFromString(html, "text/html");

// -- copying ---------------------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy).cloneNode(true);
  source.querySelectorAll("[data-nocopy]").forEach((note) => note.remove());
  const text = indented(source).trim();
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text);
  }
  const words = button.dataset.words || button.textContent;
  button.dataset.words = words;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = words; }, 1500);
});

// The lines' depth is a class, so that styles indent them; copied text gets blanks.
function indented(element) {
  const lines = element.querySelectorAll(":scope > span[class^=d]");
  if (!lines.length) return element.textContent;
  return [...lines].map((line) => "  ".repeat(Number(/^d(\d+)/.exec(line.className)[1])) + line.textContent.trim()).join("\n");
}

function copyBySelection(text) {  // where the page is not served to localhost, browsers have no clipboard
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// -- the chosen call -------------------------------------------------------------------------------------------------

const detail = document.querySelector("[data-detail]");
const panes = document.querySelector(".panes");

async function choose(address, push) {
  const answer = await fetch(`${address}?part=call`, { headers: { Accept: "text/html" } });
  if (!answer.ok) { location.assign(address); return; }
  detail.replaceChildren(...parse(await answer.text()).body.childNodes);
  panes.classList.add("chosen");
  mark(address);
  if (push) history.pushState({}, "", address + location.search);
  document.getElementById("call-title").focus({ preventScroll: false });
}

function mark(address) {
  document.querySelectorAll("[data-calls] tr.current").forEach((row) => row.classList.remove("current"));
  const link = document.querySelector(`[data-calls] a[href="${CSS.escape(address).replaceAll("\\/", "/")}"]`);
  if (link) link.closest("tr").classList.add("current");
}

function close() {
  const link = document.querySelector("[data-calls] tr.current a");
  panes.classList.remove("chosen");
  detail.replaceChildren();
  mark("");
  history.pushState({}, "", "/" + location.search);
  if (link) link.focus();
}

if (detail) {
  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const closing = event.target.closest("[data-close]");
    if (closing) { event.preventDefault(); close(); return; }
    const row = event.target.closest("[data-calls] tbody tr");
    if (!row || getSelection().toString()) return;
    event.preventDefault();
    choose(row.querySelector("a").getAttribute("href"), true);
  });
  addEventListener("popstate", () => {
    if (location.pathname.startsWith("/calls/")) choose(location.pathname, false);
    else { panes.classList.remove("chosen"); detail.replaceChildren(); mark(""); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && panes.classList.contains("chosen")) { close(); return; }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const row = document.activeElement.closest("[data-calls] tbody tr");
    if (!row) return;
    const next = event.key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
    if (next) { event.preventDefault(); next.querySelector("a").focus(); }
  });
  if (location.pathname.startsWith("/calls/")) mark(location.pathname);
}

// -- live updates ----------------------------------------------------------------------------------------------------

const table = document.querySelector("[data-calls]");
const regions = document.querySelectorAll("[data-live-region]");
const dot = document.querySelector("[data-live-dot]");
let paused = false;

function connect(address, received) {
  const source = new EventSource(address);
  source.addEventListener("open", () => { if (dot) dot.classList.add("on"); });
  source.addEventListener("error", () => { if (dot) dot.classList.remove("on"); });
  source.addEventListener("reset", () => location.assign("/"));
  source.addEventListener("calls", (event) => received(event.data));
  return source;
}

function merge(html) {
  const body = table.tBodies[0];
  const rows = [...parse(`<table><tbody>${html}</tbody></table>`).querySelectorAll("tr")];
  let fresh = 0;
  for (const row of rows.reverse()) {
    const known = document.getElementById(row.id);
    if (known) {
      if (known.contains(document.activeElement)) {
        [...row.cells].forEach((cell, place) => { if (place !== 1) known.cells[place].replaceWith(cell.cloneNode(true)); });
        known.dataset.outcome = row.dataset.outcome;
      } else {
        row.classList.toggle("current", known.classList.contains("current"));
        known.replaceWith(row);
      }
      continue;
    }
    const after = [...body.rows].find((other) => Number(other.dataset.seq) < Number(row.dataset.seq));
    row.classList.add("fresh");
    body.insertBefore(row, after || null);
    fresh += 1;
  }
  while (body.rows.length > MOST_ROWS) body.lastElementChild.remove();
  document.querySelector("[data-empty]").hidden = body.rows.length > 0;
  if (fresh) announce(fresh, body.rows[0]);
}

let unannounced = 0;
let announcing = null;
function announce(fresh, newest) {  // at most one message in two seconds, so that a busy caller does not talk without end
  unannounced += fresh;
  announcing ||= setTimeout(() => {
    const words = newest.isConnected ? `${newest.cells[1].textContent.trim()} ${newest.cells[4].textContent.trim()}` : "";
    document.querySelector("[data-announce]").textContent = `${unannounced} new: ${words}`;
    unannounced = 0;
    announcing = null;
  }, 2000);
}

async function refresh() {  // a page whose tables follow the calls: fetched again, its marked regions are replaced
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = parse(await answer.text());
  for (const region of document.querySelectorAll("[data-live-region]")) {
    const found = fresh.querySelector(`[data-live-region="${region.dataset.liveRegion}"]`);
    if (found && !region.contains(document.activeElement)) region.replaceChildren(...found.childNodes);
  }
}

// A browser opens six connections to a server; a hidden tab gives its own back, and catches up when it is seen.
function live(address, received) {
  let source = null;
  const follow = () => {
    const wanted = !paused && !document.hidden;
    if (wanted && !source) source = connect(address(), received);
    if (!wanted && source) { source.close(); source = null; if (dot) dot.classList.remove("on"); }
  };
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => { if (source) source.close(); });
  follow();
  return follow;
}

if (table) {
  const newest = () => Math.max(0, ...[...table.tBodies[0].rows].map((row) => Number(row.dataset.seq)));
  const follow = live(() => table.dataset.events.replace(/after=\d+/, `after=${newest()}`), merge);
  const pause = document.querySelector("[data-pause]");
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    follow();
  });
} else if (regions.length && !document.body.hasAttribute("data-every")) {
  let waiting = null;
  live(() => "/events", () => { waiting ||= setTimeout(() => { waiting = null; refresh(); }, 400); });
} else if (regions.length) {
  setInterval(() => { if (!document.hidden) refresh(); }, Number(document.body.dataset.every));
}
