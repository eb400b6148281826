// Looking around: wheel, drag, pinch, keys, search, links. Everything changes `state`, then draws.
const MIN_SPAN = given.step ? 4 * given.step : 100;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const full = () => { const pad = (end - start) * 0.01; return [start - pad, end + pad]; };

let asked = 0;
function later() { asked ||= requestAnimationFrame(() => { asked = 0; draw(); }); }
function draw() {
  drawOverview();
  drawLanes();
  drawStrip();
  const span = state.to - state.from;
  $("sight").textContent = `${moment(Math.max(start, state.from), span / 500)} – ${moment(Math.min(end, state.to), span / 500)}`;
}

function look(from, to) {
  const [least, most] = full();
  const span = Math.min(Math.max(to - from, MIN_SPAN), most - least);
  state.from = Math.min(Math.max((from + to - span) / 2, least), most - span);
  state.to = state.from + span;
  later();
}
// Nothing glides before the page has been seen once.
let gliding = 0, settled = false;
function glide(from, to) {
  cancelAnimationFrame(gliding);
  if (calm.matches || !settled) return look(from, to);
  const [from0, to0, began] = [state.from, state.to, performance.now()];
  const step = (now) => {
    const share = Math.min(1, Math.max(0, (now - began) / 220)), eased = 1 - (1 - share) ** 3;
    look(from0 + (from - from0) * eased, to0 + (to - to0) * eased);
    if (share < 1) gliding = requestAnimationFrame(step);
  };
  gliding = requestAnimationFrame(step);
}
function zoom(factor, at = (state.from + state.to) / 2) {
  cancelAnimationFrame(gliding);
  look(at - (at - state.from) * factor, at + (state.to - at) * factor);
}
function pan(share) {
  const by = (state.to - state.from) * share;
  cancelAnimationFrame(gliding);
  look(state.from + by, state.to + by);
}

function turnTo(number) {
  const count = given.violations.length;
  if (!count) return;
  state.violation = ((number % count) + count) % count;
  document.querySelectorAll("#violations > li").forEach((item, i) => item.toggleAttribute("data-current", i === state.violation));
}
function visit(number) {
  const count = given.violations.length;
  turnTo(number);
  const one = violation();
  if (!one) return say("Nothing is wrong in this history.");
  const touched = one.calls.flatMap((call) => calls.account.slice(calls.first[call], calls.first[call + 1]));
  if (one.account >= 0) setAccount(one.account);
  else if (touched.length) setAccount(touched[0]);
  if (one.calls.length) {
    const from = Math.min(one.at, ...one.calls.map((call) => calls.invoked[call]));
    const to = Math.max(one.at, ...one.calls.map((call) => Math.min(drawnUntil[call], calls.invoked[call] + (one.at - from || 1))));
    const pad = Math.max(to - from, MIN_SPAN) * 0.6;
    glide(from - pad, to + pad);
    reveal(one.calls[0]);
  }
  link(`violation=${state.violation + 1}`);
  say(`Violation ${state.violation + 1} of ${count}: ${one.message}`);
  later();
}
function choose(call, { move = true } = {}) {
  state.selected = call;
  if (call < 0) { $("chosen").hidden = true; return later(); }
  $("chosen").hidden = false;
  $("chosen-card").replaceChildren(...card(call));
  if (state.account < 0 || entryOn(call, state.account) < 0) {
    if (calls.first[call] < calls.first[call + 1]) setAccount(calls.account[calls.first[call]]);
  }
  if (state.involvedOnly && !shownLanes().includes(calls.lane[call])) toggleInvolved();
  const [from, to] = [calls.invoked[call], drawnUntil[call]];
  if (move && (to < state.from || from > state.to || x(to) - x(from) < 12)) {
    const half = Math.min((state.to - state.from) / 2, Math.max(6 * (to - from), MIN_SPAN));
    glide((from + to) / 2 - half, (from + to) / 2 + half);
  }
  reveal(call);
  link("op=" + encodeURIComponent(calls.operation[call]));
  say($("chosen-card").innerText.replace(/\s+/g, " "));
  later();
}
// Scroll the lanes, where they are too many for the screen, until this call's is among them.
function reveal(call) {
  if (!chart.height) return;
  const layout = layOut();
  if (!layout.place.has(calls.lane[call])) return;
  const y = layout.y(calls.lane[call]);
  if (y < AXIS) state.top -= AXIS - y;
  if (y + layout.height > chart.height) state.top += y + layout.height - chart.height + 6;
}
function setAccount(account) { state.account = account; $("account").value = account; later(); }
function toggleInvolved() {
  state.involvedOnly = !state.involvedOnly;
  $("involved").setAttribute("aria-pressed", state.involvedOnly);
  later();
}
const link = (text) => history.replaceState(null, "", "#" + text);
const say = (text) => { $("said").textContent = text; };

// A call as rows of a description list; texts only, so that no name can be markup.
function card(call) {
  const rows = given.lanesAre === "client" ? [["client", given.clients[calls.client[call]]]] : [];
  const codes = given.codes[calls.code[call]];
  rows.push(["ended", ["ok", "refused", "unknown: never answered; it may have happened, or happen later"][calls.ended[call]] + (codes ? ` (${codes})` : "")]);
  for (let entry = calls.first[call]; entry < Math.min(calls.first[call + 1], calls.first[call] + 6); entry++) rows.push(entryRow(entry));
  const more = calls.first[call + 1] - calls.first[call] - 6;
  if (more > 0) rows.push(["", `and ${more} more accounts`]);
  if (given.step) rows.push(["place", moment(calls.invoked[call], 1)]);
  else {
    rows.push(["asked", moment(calls.invoked[call], 1000)]);
    rows.push(["took", calls.completed[call] === Infinity ? "never answered" : duration(calls.completed[call] - calls.invoked[call])]);
  }
  const list = element("dl");
  for (const [name, text] of rows) list.append(element("dt", name), element("dd", text));
  return [element("strong", `${told(call)} · ${calls.operation[call]}`), list];
}
function entryRow(entry) {
  const known = (value) => (value === null ? "?" : money(value));
  const [before, after, version] = [calls.before[entry], calls.after[entry], calls.version[entry]];
  const amount = calls.amount[entry] && calls.kind[callOf[entry]] >= READS ? money(calls.amount[entry], true) : "";
  const change = before === null && after === null ? "balance not recorded" : before === after ? `saw ${known(after)}` : `${known(before)} → ${known(after)}`;
  return [given.accounts[calls.account[entry]], [amount, change, version === null ? "" : `version ${version}`].filter(Boolean).join(", ")];
}
function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

// The call under a point, or the nearest within a finger's or a pointer's breadth.
function callAt(px, py, reach) {
  const layout = layOut(), row = Math.floor((py - AXIS + state.top) / layout.height);
  const lane = layout.rows[row];
  if (lane === undefined || px < gutter() || py < AXIS) return -1;
  let best = -1, least = reach;
  for (let place = Math.max(0, firstInSight(lanes[lane]) - 1); place < lanes[lane].length; place++) {
    const box = layout.bar(lanes[lane][place]);
    if (box.x > px + reach) break;
    const away = Math.max(box.x - px, px - box.x - box.w, 0);
    if (away < least || (away === 0 && least === 0)) [best, least] = [lanes[lane][place], away];
  }
  return best;
}
const dotAt = (px, py) => {
  const away = (dot) => Math.hypot(dot.x - px, dot.y - py);
  const near = dots.reduce((best, dot) => (!best || away(dot) < away(best) ? dot : best), null);
  return near && away(near) < 12 ? callOf[near.entry] : -1;
};
function hover(call, px, py) {
  if (call !== state.hovered) { state.hovered = call; later(); }
  const tip = $("tip");
  tip.hidden = call < 0;
  if (call < 0) return;
  tip.replaceChildren(...card(call));
  const { offsetWidth, offsetHeight } = tip;
  tip.style.left = Math.max(6, Math.min(px + 16, innerWidth - offsetWidth - 8)) + "px";
  tip.style.top = (py + 18 + offsetHeight > innerHeight ? Math.max(6, py - offsetHeight - 14) : py + 18) + "px";
}
const within = (canvas, event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };

const fingers = new Map();
let moved = 0;
function press(event) {
  chart.canvas.setPointerCapture(event.pointerId);
  if (!fingers.size) moved = 0;
  fingers.set(event.pointerId, within(chart.canvas, event));
}
function move(event) {
  const [px, py] = within(chart.canvas, event), before = fingers.get(event.pointerId);
  if (!before) {
    chart.canvas.style.cursor = callAt(px, py, 4) < 0 ? "grab" : "pointer";
    return hover(callAt(px, py, 4), event.clientX, event.clientY);
  }
  hover(-1);
  const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
  const scale = (state.to - state.from) / (chart.width - gutter());
  moved += Math.abs(px - before[0]) + Math.abs(py - before[1]);
  fingers.set(event.pointerId, [px, py]);
  cancelAnimationFrame(gliding);
  if (other) {
    const factor = Math.max(20, Math.abs(before[0] - other[0])) / Math.max(20, Math.abs(px - other[0]));
    return zoom(factor, timeAt((px + other[0]) / 2));
  }
  state.top -= event.pointerType === "mouse" ? py - before[1] : 0;
  look(state.from - (px - before[0]) * scale, state.to - (px - before[0]) * scale);
}
function release(event) {
  const [px, py] = within(chart.canvas, event);
  if (fingers.delete(event.pointerId) && moved < 6 && event.type === "pointerup") {
    const call = callAt(px, py, event.pointerType === "mouse" ? 4 : 14);
    choose(call, { move: false });
  }
}
function wheel(event) {
  event.preventDefault();
  const unit = event.deltaMode ? 16 : 1;
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(((event.deltaX || event.deltaY) * unit) / chart.width);
  else zoom(Math.exp(Math.max(-300, Math.min(300, event.deltaY * unit)) * 0.0022), timeAt(within(chart.canvas, event)[0]));
}

// The next call of the same lane, or the nearest in time of the lane beside it.
function walk(along, across) {
  const rows = shownLanes(), call = state.selected;
  if (call < 0) return choose(lanes[rows[0]]?.find((one) => drawnUntil[one] >= state.from) ?? -1);
  if (along) return choose(lanes[calls.lane[call]][lanes[calls.lane[call]].indexOf(call) + along] ?? call);
  const lane = lanes[rows[rows.indexOf(calls.lane[call]) + across]];
  const away = (one) => Math.abs(calls.invoked[one] - calls.invoked[call]);
  if (lane?.length) choose(lane.reduce((best, one) => (away(one) < away(best) ? one : best)));
}
function search(text) {
  const wanted = text.trim();
  if (!wanted) return;
  const from = state.selected + 1, matches = (test) => {
    for (let i = 0; i < calls.count; i++) if (test(calls.operation[(from + i) % calls.count])) return (from + i) % calls.count;
    return -1;
  };
  const tests = [(name) => name === wanted, (name) => name.startsWith(wanted), (name) => name.includes(wanted)];
  const found = tests.map(matches).find((call) => call >= 0) ?? -1;
  $("search-said").textContent = found < 0 ? `no operation ${shortened(wanted, 30)} is shown` : "";
  if (found >= 0) choose(found);
}
const helping = () => ($("help").open ? $("help").close() : $("help").showModal());
const scroll = (rows) => { state.top += rows * layOut().height; later(); };
const KEYS = {
  ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15), ArrowUp: () => scroll(-2), ArrowDown: () => scroll(2),
  "Shift+ArrowLeft": () => walk(-1, 0), "Shift+ArrowRight": () => walk(1, 0),
  "Shift+ArrowUp": () => walk(0, -1), "Shift+ArrowDown": () => walk(0, 1),
  "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1 / 0.7),
  Home: () => glide(...full()), n: () => visit(state.violation + 1), p: () => visit(Math.max(state.violation, 0) - 1),
  l: toggleInvolved, "/": () => $("search").focus(), "?": helping,
  Escape: () => { hover(-1); choose(-1); chart.canvas.focus(); },
};
function key(event) {
  const typing = event.target.matches("input, select, textarea") || $("help").open;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing && event.key !== "Escape") return;
  if ($("help").open) return;
  const does = KEYS[(event.shiftKey && event.key.startsWith("Arrow") ? "Shift+" : "") + event.key];
  if (!does) return;
  event.preventDefault();
  does();
}
// What an address names: #op=… a call, #violation=… one of the list; else the first violation.
function follow() {
  const [name, value = ""] = location.hash.slice(1).split("=", 2);
  if (name !== "op") return visit(name === "violation" ? Number(value) - 1 || 0 : 0);
  let operation = value;
  try { operation = decodeURIComponent(value); } catch { /* Not written by this page: taken as it stands. */ }
  const call = places.get(operation) ?? -1;
  const about = marked.findIndex((involves) => involves.has(call));
  if (about >= 0 || state.violation < 0) turnTo(Math.max(0, about));
  if (call >= 0) choose(call); else search(operation);
}

function listen() {
  const canvas = chart.canvas;
  canvas.addEventListener("pointerdown", press);
  canvas.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, release);
  canvas.addEventListener("pointerleave", () => hover(-1));
  canvas.addEventListener("wheel", wheel, { passive: false });
  const jump = (event) => { if (event.buttons) { const at = overviewTime(within(overview.canvas, event)[0]), half = (state.to - state.from) / 2; look(at - half, at + half); } };
  overview.canvas.addEventListener("pointerdown", (event) => { overview.canvas.setPointerCapture(event.pointerId); jump(event); });
  overview.canvas.addEventListener("pointermove", jump);
  strip.canvas.addEventListener("pointermove", (event) => hover(dotAt(...within(strip.canvas, event)), event.clientX, event.clientY));
  strip.canvas.addEventListener("pointerleave", () => hover(-1));
  strip.canvas.addEventListener("click", (event) => { const call = dotAt(...within(strip.canvas, event)); if (call >= 0) choose(call); });
  addEventListener("keydown", key);
  addEventListener("hashchange", follow);
  $("search-form").addEventListener("submit", (event) => { event.preventDefault(); search($("search").value); });
  $("account").addEventListener("change", (event) => setAccount(Number(event.target.value)));
  document.querySelectorAll("[data-key]").forEach((button) => button.addEventListener("click", () => KEYS[button.dataset.key]()));
  document.querySelectorAll("[data-violation]").forEach((button) => button.addEventListener("click", () => visit(Number(button.dataset.violation))));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); later(); });
  new ResizeObserver(later).observe(chart.canvas);
}

readColours();
given.accounts.forEach((name, account) => $("account").append(new Option(name, account)));
[state.from, state.to] = full();
setAccount(given.accounts.length ? entriesOf.reduce((best, entries, i) => (entries.length > entriesOf[best].length ? i : best), 0) : -1);
listen();
chart.begin(); // What is looked for has to know how large the lanes are.
follow();
draw();
performance.mark("drawn");
settled = true;
