// Above and below the lanes: the whole history at a glance, and one account's balance.
const overview = surface("overview"), strip = surface("strip");
const overviewX = (ns) => gutter() + ((ns - start) / (end - start)) * (overview.width - gutter());
const overviewTime = (px) => start + ((px - gutter()) / (overview.width - gutter())) * (end - start);

// How many calls were under way, column by column: found once for each width.
let crowd = [];
function crowdOf(columns) {
  if (crowd.length === columns) return crowd;
  const change = new Int32Array(columns + 1);
  const column = (ns) => Math.min(columns - 1, Math.max(0, Math.floor(((ns - start) / (end - start)) * columns)));
  for (let call = 0; call < calls.count; call++) {
    change[column(calls.invoked[call])]++;
    change[column(drawnUntil[call]) + 1]--;
  }
  let sum = 0;
  crowd = Array.from({ length: columns }, (_, i) => (sum += change[i]));
  return crowd;
}

function drawOverview() {
  const pen = overview.begin(), left = gutter(), tall = overview.height - 8;
  const columns = Math.max(1, Math.floor(overview.width - left));
  const under = crowdOf(columns), most = under.reduce((a, b) => Math.max(a, b), 1);
  pen.fillStyle = colours.muted;
  pen.globalAlpha = 0.45;
  under.forEach((count, i) => pen.fillRect(left + i, 4 + tall * (1 - count / most), 1, (tall * count) / most));
  pen.globalAlpha = 1;
  given.violations.forEach((one, i) => {
    pen.fillStyle = colours.wrong;
    pen.fillRect(overviewX(one.at) - (i === state.violation ? 2 : 0.75), 0, i === state.violation ? 4 : 1.5, overview.height);
  });
  const from = overviewX(state.from), to = overviewX(state.to);
  pen.fillStyle = colours.paper;
  pen.globalAlpha = 0.62;
  pen.fillRect(left, 0, from - left, overview.height);
  pen.fillRect(to, 0, overview.width - to, overview.height);
  pen.globalAlpha = 1;
  pen.strokeStyle = colours.ink;
  pen.lineWidth = 1.5;
  pen.strokeRect(from + 0.75, 0.75, Math.max(3, to - from - 1.5), overview.height - 1.5);
  pen.fillStyle = colours.muted;
  pen.font = `11px ${FONT}`;
  pen.textAlign = "left";
  if (wide()) pen.fillText("overview", 8, overview.height / 2);
}

// The entries of the account in question whose calls are in sight, with their neighbours.
function entriesInSight(account) {
  const seen = (entriesOf[account] ?? []).filter(isSeen);
  const inSight = (entry) => calls.invoked[callOf[entry]] <= state.to && drawnUntil[callOf[entry]] >= state.from;
  const from = seen.findIndex(inSight);
  let to = seen.length - 1;
  if (from < 0) return [];
  while (!inSight(seen[to])) to--;
  return seen.slice(Math.max(0, from - 1), to + 2);
}

// What the last write left is what the next should find; else money was made or lost in between.
function broken(last, entry, versioned) {
  if (last < 0 || calls.before[entry] === null || calls.after[last] === null || calls.before[entry] === calls.after[last]) return false;
  if (versioned) return calls.version[entry] - calls.version[last] <= 1;
  return given.step > 0 || involved().has(callOf[entry]);
}

const GAPS_TOLD = 12;
let dots = [];
function drawStrip() {
  const pen = strip.begin(), account = state.account;
  dots = [];
  pen.font = `11px ${FONT}`;
  pen.textAlign = "left";
  const entries = account < 0 ? [] : entriesInSight(account);
  if (!entries.length) {
    pen.fillStyle = colours.muted;
    return pen.fillText("No balance of this account was recorded in sight.", gutter(), strip.height / 2);
  }
  const { versioned } = entriesOf[account], scale = stripScale(entries, versioned);
  drawStripAxis(pen, scale, versioned);
  const gaps = drawBalance(pen, entries, scale, versioned);
  const value = (entry) => calls.after[entry] ?? calls.before[entry];
  dots = entries.map((entry) => ({ x: scale.x(entry), y: scale.y(value(entry)), entry }));
  for (const dot of dots) drawDot(pen, dot, scale.dense);
  if (gaps.length <= GAPS_TOLD) for (const gap of gaps) tellGap(pen, gap);
}
function stripScale(entries, versioned) {
  let low = null, high = null;
  for (const entry of entries) for (const value of [calls.before[entry], calls.after[entry]]) {
    if (value === null) continue;
    if (low === null || value < low) low = value;
    if (high === null || value > high) high = value;
  }
  const rank = new Map(entries.map((entry, i) => [entry, i]));
  const place = (entry) => (versioned ? calls.version[entry] : rank.get(entry));
  const first = place(entries[0]), span = Math.max(1, place(entries[entries.length - 1]) - first);
  const room = strip.width - gutter() - 30, tall = strip.height - 54;
  const height = Number(high) - Number(low) || 1;
  return {
    low, high, first, last: first + span, dense: entries.length > room / 3,
    // Who only saw a version stands beside who wrote it.
    x: (entry) => gutter() + 14 + ((place(entry) - first + (versioned && !isWrite(entry) ? 0.4 : 0)) / (span + 0.5)) * room,
    y: (value) => 28 + tall * (1 - (Number(value) - Number(low)) / height),
  };
}
function drawStripAxis(pen, scale, versioned) {
  for (const value of new Set([scale.low, scale.high])) {
    pen.fillStyle = colours.muted;
    pen.textAlign = "right";
    pen.fillText(shortened(money(value), gutter() / 6.2), gutter() - 8, scale.y(value));
    pen.fillStyle = colours.grid;
    pen.fillRect(gutter(), Math.round(scale.y(value)), strip.width, 1);
  }
  pen.fillStyle = colours.muted;
  pen.textAlign = "left";
  pen.fillText(versioned ? `version ${scale.first}` : "in the order of answers", gutter(), strip.height - 10);
  pen.textAlign = "right";
  if (versioned) pen.fillText(`version ${scale.last}`, strip.width - 8, strip.height - 10);
  pen.textAlign = "left";
  pen.fillStyle = colours.ink;
  pen.font = `600 11px ${FONT}`;
  pen.fillText(`Balance of ${shortened(given.accounts[state.account], 40)}`, gutter(), 11);
}
function drawBalance(pen, entries, scale, versioned) {
  const gaps = [];
  let last = -1, column = -1;
  pen.strokeStyle = colours.ink;
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (const entry of entries.filter(isWrite)) {
    const px = scale.x(entry), left = last < 0 ? null : calls.after[last];
    const wrong = broken(last, entry, versioned);
    if (wrong && Math.floor(px) !== column) gaps.push({ x: px, y1: scale.y(left), y2: scale.y(calls.before[entry]), made: calls.before[entry] - left });
    if (wrong) column = Math.floor(px);
    // Over versions that are not shown no line leads.
    const next = last >= 0 && (!versioned || calls.version[entry] - calls.version[last] <= 1);
    if (next && left !== null && !scale.dense) { pen.moveTo(scale.x(last), scale.y(left)); pen.lineTo(px, scale.y(left)); }
    const from = calls.before[entry] ?? left, to = calls.after[entry];
    if (from !== null && to !== null) { pen.moveTo(px, scale.y(from)); pen.lineTo(px, scale.y(to)); }
    last = entry;
  }
  if (last >= 0 && calls.after[last] !== null) {
    pen.moveTo(scale.x(last), scale.y(calls.after[last]));
    pen.lineTo(scale.x(entries[entries.length - 1]), scale.y(calls.after[last]));
  }
  pen.stroke();
  pen.strokeStyle = colours.wrong;
  pen.lineWidth = 3;
  pen.beginPath();
  for (const gap of gaps) { pen.moveTo(gap.x, gap.y1); pen.lineTo(gap.x, gap.y2); }
  pen.stroke();
  return gaps;
}
function tellGap(pen, gap) {
  pen.font = `600 11px ${FONT}`;
  const right = gap.x > strip.width - 110;
  pen.textAlign = right ? "right" : "left";
  const words = [madeOrLost(gap.made), gap.x + (right ? -8 : 8), (gap.y1 + gap.y2) / 2];
  // Legible over the lines that it crosses.
  pen.fillStyle = colours.wrong;
  pen.strokeStyle = colours.card;
  pen.lineWidth = 4;
  pen.strokeText(...words);
  pen.fillText(...words);
}
// Full left the balance so, hollow only saw it. Where they stand too dense only the marked ones.
function drawDot(pen, dot, dense) {
  const call = callOf[dot.entry], marked = involved().has(call);
  const chosen = call === state.selected || call === state.hovered;
  if (dense && !marked && !chosen) return;
  pen.beginPath();
  pen.arc(dot.x, dot.y, marked || chosen ? 5 : 3, 0, 7);
  pen.fillStyle = isWrite(dot.entry) ? colours[BAR[calls.kind[call]]] : colours.card;
  pen.strokeStyle = marked ? colours.wrong : chosen ? colours.ink : colours[BAR[calls.kind[call]]];
  pen.lineWidth = marked || chosen ? 2 : 1.5;
  pen.fill();
  pen.stroke();
}
