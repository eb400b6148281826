// What is said about the violation on the lanes: its cycle as arrows with words, and its moment.
const LABEL_H = 18;

// Where two calls without a cycle collided, the one arrow leads from the first to the second.
function steps(one) {
  if (one.links.length || one.calls.length !== 2) return one.links;
  return [[one.calls[0], one.calls[1], one.amount ? `${one.anomaly}: ${madeOrLost(one.amount)}` : one.anomaly]];
}
const madeOrLost = (amount) => `${money(amount).replace("-", "")} ${String(amount).startsWith("-") ? "lost" : "made"}`;

function drawViolation(pen, layout) {
  const labels = [];
  steps(violation()).forEach(([earlier, later, why], number) => {
    if (!layout.place.has(calls.lane[earlier]) || !layout.place.has(calls.lane[later])) return;
    labels.push({ ...drawArrow(pen, layout.bar(earlier), layout.bar(later), number), why, number: number + 1 });
  });
  // The rest of the page tells the words of a cycle too long to be told beside its arrows.
  const taken = [];
  if (labels.length <= 8) for (const label of labels) drawWords(pen, label, taken);
}

// An arrow between the middles of two bars, bent so that a way there and a way back stay apart.
function drawArrow(pen, one, other, number) {
  const middle = (box) => Math.min(Math.max(box.x + box.w / 2, Math.max(box.x, gutter() + 12)), Math.max(gutter() + 12, Math.min(box.x + box.w, chart.width - 12)));
  const down = one.y <= other.y, sameLane = one.y === other.y;
  const x1 = middle(one), x2 = middle(other);
  const y1 = sameLane ? one.y : down ? one.y + one.h : one.y;
  const y2 = sameLane ? other.y : down ? other.y - 1 : other.y + other.h + 1;
  const bend = 26 + 10 * (number % 3);
  const cx = (x1 + x2) / 2 + (sameLane ? 0 : down ? bend : -bend), cy = (y1 + y2) / 2 - (sameLane ? bend : 0);
  pen.strokeStyle = pen.fillStyle = colours.wrong;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.quadraticCurveTo(cx, cy, x2, y2);
  pen.stroke();
  const angle = Math.atan2(y2 - cy, x2 - cx);
  pen.beginPath();
  pen.moveTo(x2, y2);
  for (const side of [-0.42, 0.42]) pen.lineTo(x2 - 11 * Math.cos(angle + side), y2 - 11 * Math.sin(angle + side));
  pen.fill();
  // Words on a short arrow would hide it: they stand below.
  const short = Math.abs(y2 - y1) < 3 * LABEL_H;
  return { x: (x1 + 2 * cx + x2) / 4, y: short ? Math.max(one.y + one.h, other.y + other.h) + LABEL_H : (y1 + 2 * cy + y2) / 4 };
}

// The step's number on its arrow and, where there is room, its words; no two on one another.
function drawWords(pen, label, taken) {
  pen.font = `600 11px ${FONT}`;
  const words = wide() ? shortened(label.why, 64) : "";
  const width = LABEL_H + (words ? pen.measureText(words).width + 12 : 0);
  const box = { x: Math.max(gutter() + 4, Math.min(label.x - 11, chart.width - width - 6)), y: label.y - LABEL_H / 2, w: width, h: LABEL_H };
  const clash = () => taken.find((old) => box.x < old.x + old.w && old.x < box.x + box.w && box.y < old.y + old.h && old.y < box.y + box.h);
  for (let old = clash(), tries = 0; old && tries < 20; old = clash(), tries++) box.y = old.y + LABEL_H + 2;
  taken.push({ ...box });
  pen.fillStyle = colours.card;
  pen.strokeStyle = colours.wrong;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.roundRect(box.x, box.y, box.w, box.h, LABEL_H / 2);
  pen.fill();
  pen.stroke();
  pen.fillStyle = colours.wrong;
  pen.beginPath();
  pen.arc(box.x + LABEL_H / 2, box.y + LABEL_H / 2, LABEL_H / 2, 0, 7);
  pen.fill();
  pen.fillStyle = colours.card;
  pen.textAlign = "center";
  pen.fillText(label.number, box.x + LABEL_H / 2, box.y + LABEL_H / 2 + 0.5);
  pen.fillStyle = colours.ink;
  pen.textAlign = "left";
  if (words) pen.fillText(words, box.x + LABEL_H + 5, box.y + LABEL_H / 2 + 0.5);
}

// From here on nothing explains what was seen.
function drawMoment(pen) {
  const one = violation(), px = x(one.at);
  if (px < gutter() || px > chart.width) return;
  pen.strokeStyle = pen.fillStyle = colours.wrong;
  pen.lineWidth = 1.5;
  pen.setLineDash([5, 4]);
  pen.beginPath();
  pen.moveTo(px, AXIS);
  pen.lineTo(px, chart.height);
  pen.stroke();
  pen.setLineDash([]);
  const words = one.amount ? `${madeOrLost(one.amount)} from here` : given.wrongFrom[one.kind];
  pen.font = `600 11px ${FONT}`;
  const width = pen.measureText(words).width + 12, left = Math.max(gutter(), Math.min(px - width / 2, chart.width - width));
  pen.beginPath();
  pen.roundRect(left, 3, width, AXIS - 7, 4);
  pen.fill();
  pen.fillStyle = colours.card;
  pen.textAlign = "left";
  pen.fillText(words, left + 6, AXIS / 2);
}
