// The lanes: every call an interval, what is wrong marked, its cycle as arrows.
const $ = (id) => document.getElementById(id);
const state = {
  from: start, to: end, top: 0, selected: -1, hovered: -1, violation: -1,
  account: -1, involvedOnly: false,
};
const BAR = { 0: "read", 1: "read", 2: "withdraw", 3: "add", 4: "transfer", 5: "several", 6: "open", 7: "several" };
const AXIS = 26, LANE_MIN = 14, LANE_MAX = 96, BAR_MAX = 28, FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "muted", "grid", "paper", "card", "stripe", "wrong", "read", "withdraw", "add", "transfer", "several", "open"]) {
    colours[name] = style.getPropertyValue("--" + name).trim();
  }
}

// A canvas as large as its box, in sharp pixels.
function surface(id) {
  const canvas = $(id), pen = canvas.getContext("2d", { alpha: false });
  return {
    canvas, pen, width: 0, height: 0,
    begin() {
      const ratio = Math.min(3, devicePixelRatio || 1);
      const { clientWidth, clientHeight } = canvas;
      if (clientWidth !== this.width || clientHeight !== this.height || this.ratio !== ratio) {
        Object.assign(this, { width: clientWidth, height: clientHeight, ratio });
        canvas.width = Math.round(clientWidth * ratio);
        canvas.height = Math.round(clientHeight * ratio);
      }
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.fillStyle = colours.card;
      pen.fillRect(0, 0, this.width, this.height);
      pen.textBaseline = "middle";
      return pen;
    },
  };
}
const chart = surface("lanes");
const wide = () => chart.width > 640;
const gutter = () => (wide() ? 92 : 58);
const violation = () => given.violations[state.violation];
const nobody = new Set(), marked = given.violations.map((one) => new Set(one.calls));
const involved = () => marked[state.violation] ?? nobody;
const x = (ns) => gutter() + ((ns - state.from) / (state.to - state.from)) * (chart.width - gutter());
const timeAt = (px) => state.from + ((px - gutter()) / (chart.width - gutter())) * (state.to - state.from);

// The lanes in sight: all of them, or those of the clients that are involved.
function shownLanes() {
  const all = given.lanes.map((_, lane) => lane);
  if (!state.involvedOnly || !violation()) return all;
  const clients = new Set(violation().calls.map((call) => calls.client[call]));
  return all.filter((lane) => clients.has(given.lanes[lane]));
}
function layOut() {
  const rows = shownLanes(), room = chart.height - AXIS - 6;
  const height = Math.min(LANE_MAX, Math.max(LANE_MIN, room / Math.max(1, rows.length)));
  const place = new Map(rows.map((lane, row) => [lane, row]));
  state.top = Math.max(0, Math.min(state.top, rows.length * height - room));
  const y = (lane) => AXIS + place.get(lane) * height - state.top;
  return { rows, height, place, y, bar: (call) => barBox(call, y(calls.lane[call]), height) };
}
// What is on the screen of a call; never thinner than one sees.
function barBox(call, y, height) {
  const left = x(calls.invoked[call]), right = x(drawnUntil[call]);
  const h = Math.min(BAR_MAX, height * (height < 20 ? 0.8 : 0.68));
  return { x: left, y: y + (height - h) / 2, w: Math.max(2, right - left), h };
}

function ticks() {
  const rough = ((state.to - state.from) / (chart.width - gutter())) * (wide() ? 110 : 84);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(given.step || 1, [1, 2, 5, 10].find((m) => m * power >= rough) * power);
  const found = [];
  for (let at = Math.ceil(Math.max(start, state.from) / step) * step; at <= state.to; at += step) found.push(at);
  return { step, found };
}

function drawGrid(pen, layout) {
  layout.rows.forEach((lane, row) => {
    if (row % 2) return;
    pen.fillStyle = colours.stripe;
    pen.fillRect(0, layout.y(lane), chart.width, layout.height);
  });
  pen.fillStyle = colours.grid;
  for (const at of ticks().found) pen.fillRect(Math.round(x(at)), AXIS - 6, 1, chart.height);
}

function drawAxis(pen, layout) {
  pen.fillStyle = colours.card;
  pen.fillRect(0, 0, gutter(), chart.height);
  pen.font = `12px ${FONT}`;
  pen.textAlign = "left";
  const clients = new Set([...involved()].map((call) => calls.client[call]));
  layout.rows.forEach((lane, row) => {
    const client = given.lanes[lane], again = row && given.lanes[layout.rows[row - 1]] === client;
    if (again) return;
    pen.fillStyle = clients.has(client) ? colours.ink : colours.muted;
    pen.font = `${clients.has(client) ? "600 " : ""}12px ${FONT}`;
    pen.fillText(shortened(clientName(client), gutter() / 7.4), 8, layout.y(lane) + layout.height / 2);
  });
  drawMoreLanes(pen, layout);
  pen.fillStyle = colours.card;
  pen.fillRect(0, 0, chart.width, AXIS);
  pen.fillStyle = colours.muted;
  pen.font = `11px ${FONT}`;
  pen.textAlign = "left";
  if (!wide()) pen.fillText(shortened(sameStart.trim(), gutter() / 6.6), 8, AXIS / 2);
  pen.textAlign = "center";
  const { step, found } = ticks();
  for (const at of found) if (x(at) > gutter() + 20 && x(at) < chart.width - 24) pen.fillText(moment(at, step), x(at), AXIS / 2);
}
// On a narrow screen what all clients' names begin with stands once, above them.
const sameStart = given.clients.length < 2 ? "" : given.clients.reduce((same, name) => {
  let length = 0;
  while (length < same.length && same[length] === name[length]) length++;
  return same.slice(0, length);
}).replace(/\d+$/, "");
const clientName = (client) => given.clients[client].slice(wide() ? 0 : sameStart.length);

// A thumb at the right where there are more lanes than fit.
function drawMoreLanes(pen, layout) {
  const room = chart.height - AXIS, all = layout.rows.length * layout.height + 6;
  if (all <= room + 1) return;
  pen.fillStyle = colours.muted;
  pen.beginPath();
  pen.roundRect(chart.width - 7, AXIS + (state.top / all) * room, 4, (room / all) * room, 2);
  pen.fill();
}
const shortened = (text, characters) => (text.length > characters ? text.slice(0, Math.max(1, characters - 1)) + "…" : text);

// Bars by the way they look, so that a colour is set once and not ten thousand times.
function drawBars(pen, layout) {
  const looks = new Map();
  const ours = involved();
  for (const lane of layout.rows) {
    const y = layout.y(lane);
    if (y > chart.height || y + layout.height < AXIS) continue;
    let painted = -1;
    const row = lanes[lane];
    for (let place = firstInSight(row); place < row.length; place++) {
      const call = row[place];
      if (calls.invoked[call] > state.to) break;
      const box = barBox(call, y, layout.height);
      // Where several calls fall on one pixel the first stands for all of them.
      if (box.x + box.w <= painted + 0.5 || ours.has(call)) continue;
      painted = box.x + box.w;
      const look = calls.kind[call] * 8 + calls.ended[call] * 2 + (state.account < 0 || entryOn(call, state.account) >= 0);
      looks.get(look)?.push(call, box) ?? looks.set(look, [call, box]);
    }
  }
  for (const [look, drawn] of looks) drawAlike(pen, drawn, look);
  for (const call of ours) if (layout.place.has(calls.lane[call])) drawInvolved(pen, call, layout.bar(call));
}
// Calls of a lane follow one another: the first whose end is in sight, by halves.
function firstInSight(row) {
  let low = 0, high = row.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (drawnUntil[row[middle]] < state.from) low = middle + 1; else high = middle;
  }
  return low;
}
function drawAlike(pen, drawn, look) {
  const ended = (look >> 1) & 3, near = look & 1, kind = look >> 3;
  pen.fillStyle = pen.strokeStyle = colours[BAR[kind]];
  pen.globalAlpha = near ? 0.85 : ended === REFUSED ? 0.6 : 0.3;
  pen.lineWidth = 1.5;
  for (let i = 1; i < drawn.length; i += 2) drawShape(pen, drawn[i], ended);
  pen.globalAlpha = near ? 1 : 0.6;
  pen.font = `11px ${FONT}`;
  pen.textAlign = "left";
  pen.fillStyle = ended === OK && near ? inkOn(kind) : colours.ink;
  for (let i = 0; i < drawn.length; i += 2) if (drawn[i + 1].w > 34) drawLabel(pen, drawn[i], drawn[i + 1]);
  pen.globalAlpha = 1;
}
const inkOn = (kind) => (BAR[kind] === "several" ? "#ffffff" : "#10151c");
// Full is done, hollow is refused; what was never answered has no end.
function drawShape(pen, box, ended) {
  if (ended === OK) pen.fillRect(box.x, box.y, box.w > 3 ? box.w - 0.75 : box.w, box.h);
  else if (ended === REFUSED) pen.strokeRect(box.x + 0.75, box.y + 0.75, Math.max(1, box.w - 2.25), box.h - 1.5);
  else {
    const fade = pen.createLinearGradient(box.x, 0, box.x + box.w, 0);
    fade.addColorStop(0, pen.strokeStyle);
    fade.addColorStop(1, pen.strokeStyle + "10");
    const before = pen.fillStyle;
    pen.fillStyle = fade;
    pen.fillRect(box.x, box.y, box.w, box.h);
    pen.fillStyle = before;
  }
}
function drawLabel(pen, call, box, letter = 6.1) {
  const left = Math.max(box.x, gutter()) + 5, room = box.x + box.w - left - 4;
  const mark = calls.ended[call] === REFUSED ? "✗ " : calls.ended[call] === UNKNOWN ? "? " : "";
  const text = told(call, room / letter - mark.length);
  if (text && box.h >= 10) pen.fillText(mark + text, left, box.y + box.h / 2 + 0.5);
}
function drawInvolved(pen, call, box) {
  pen.fillStyle = pen.strokeStyle = colours[BAR[calls.kind[call]]];
  pen.lineWidth = 1.5;
  drawShape(pen, box, calls.ended[call]);
  pen.strokeStyle = colours.wrong;
  pen.lineWidth = 2.5;
  pen.strokeRect(box.x - 1.25, box.y - 1.25, box.w + 2.5, box.h + 2.5);
  pen.font = `600 11px ${FONT}`;
  pen.textAlign = "left";
  pen.fillStyle = calls.ended[call] === OK ? inkOn(calls.kind[call]) : colours.ink;
  if (box.w > 34) drawLabel(pen, call, box, 7);
}

function outline(pen, call, layout, width) {
  if (call < 0 || !layout.place.has(calls.lane[call])) return;
  const box = layout.bar(call);
  pen.strokeStyle = colours.ink;
  pen.lineWidth = width;
  pen.strokeRect(box.x - 3, box.y - 3, box.w + 6, box.h + 6);
}

function drawLanes() {
  const pen = chart.begin(), layout = layOut();
  drawGrid(pen, layout);
  pen.save();
  pen.beginPath();
  pen.rect(gutter(), AXIS, chart.width - gutter(), chart.height - AXIS);
  pen.clip();
  drawBars(pen, layout);
  outline(pen, state.hovered, layout, 1);
  outline(pen, state.selected, layout, 2);
  if (violation()) drawViolation(pen, layout);
  pen.restore();
  drawAxis(pen, layout);
  if (violation()) drawMoment(pen);
}
