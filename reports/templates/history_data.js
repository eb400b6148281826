"use strict";
// What the page shows, decoded from its columns, and how numbers are written.
const given = JSON.parse(document.getElementById("history").textContent);
const OK = 0, REFUSED = 1, UNKNOWN = 2;
const KINDS = ["balance", "check", "withdraw", "add", "transfer", "batch", "open", "change"];
const READS = 2; // Kinds below this one change nothing.

const running = (steps) => {
  let sum = 0;
  return steps.map((step) => (step === null ? null : (sum += step)));
};
// Money beyond 2**53 comes as text: a plain number would not hold it exactly.
const exact = (texts) => texts.map((text) => (text === null ? null : BigInt(text)));
const balances = (column) => (given.big ? exact(column) : running(column));

const calls = (() => {
  const invoked = Float64Array.from(running(given.invoked));
  const first = Int32Array.from(running(given.first));
  const answered = given.lasted.map((ns, call) => (ns === null ? Infinity : invoked[call] + ns));
  return {
    count: invoked.length, operation: given.operation, client: given.client, kind: given.kind,
    ended: given.ended, code: given.code, lane: given.lane, invoked, first,
    completed: Float64Array.from(answered),
    account: given.account, amount: balances(given.amount), before: balances(given.before),
    after: balances(given.after), version: running(given.version),
  };
})();
const start = calls.count ? calls.invoked.reduce((a, b) => Math.min(a, b)) : 0;
const end = Math.max(start + 1, ...given.violations.map((one) => one.at),
  calls.completed.reduce((a, b) => (b === Infinity ? a : Math.max(a, b)), 0),
  calls.invoked.reduce((a, b) => Math.max(a, b), 0));

// Lane to its calls in order, and where on the page an unanswered one stops being drawn: at the
// client's next call.
const lanes = given.lanes.map(() => []);
for (let call = 0; call < calls.count; call++) lanes[calls.lane[call]].push(call);
const drawnUntil = Float64Array.from(calls.completed);
for (const lane of lanes) {
  lane.sort((a, b) => calls.invoked[a] - calls.invoked[b]);
  lane.forEach((call, place) => {
    if (drawnUntil[call] === Infinity) drawnUntil[call] = place + 1 < lane.length ? calls.invoked[lane[place + 1]] : end;
  });
}
const places = new Map(calls.operation.map((operation, call) => [operation, call]));

// The entries of each account, in the order of the versions it went through.
const entriesOf = given.accounts.map(() => []);
const callOf = new Int32Array(calls.account.length);
for (let call = 0; call < calls.count; call++) {
  for (let entry = calls.first[call]; entry < calls.first[call + 1]; entry++) {
    callOf[entry] = call;
    entriesOf[calls.account[entry]].push(entry);
  }
}
const isWrite = (entry) => calls.kind[callOf[entry]] >= READS && calls.ended[callOf[entry]] !== REFUSED;
const isSeen = (entry) => calls.before[entry] !== null || calls.after[entry] !== null;
for (const entries of entriesOf) {
  entries.versioned = entries.every((entry) => calls.version[entry] !== null || !isSeen(entry));
  const place = (entry) => (entries.versioned ? calls.version[entry] ?? -1 : drawnUntil[callOf[entry]]);
  entries.sort((a, b) => place(a) - place(b) || isWrite(b) - isWrite(a) || drawnUntil[callOf[a]] - drawnUntil[callOf[b]]);
}

const entryOn = (call, account) => {
  for (let entry = calls.first[call]; entry < calls.first[call + 1]; entry++) {
    if (calls.account[entry] === account) return entry;
  }
  return -1;
};

// The smallest unit's number as an exact decimal text, by its digits alone.
function money(value, signed = false) {
  const text = String(value), minus = text.startsWith("-");
  const digits = (minus ? text.slice(1) : text).padStart(given.decimals + 1, "0");
  const point = digits.length - given.decimals;
  const sign = minus ? "-" : signed && /[1-9]/.test(digits) ? "+" : "";
  return sign + digits.slice(0, point) + (given.decimals ? "." + digits.slice(point) : "");
}

const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];

// A time as people read it, fine enough to tell apart two that are `step` ns away.
function moment(ns, step) {
  if (given.step) return "#" + (Math.floor(ns / given.step) + 1);
  const [size, unit] = UNITS.find(([size]) => Math.max(Math.abs(ns), step) >= size) ?? UNITS[3];
  const decimals = Math.max(0, Math.ceil(Math.log10(size / step) - 1e-9));
  return (ns / size).toFixed(Math.min(9, decimals)) + " " + unit;
}

const duration = (ns) => moment(ns, Math.max(1, ns / 500));

// The call in a few words, shorter where there is less room.
function told(call, characters = 99) {
  const entry = Math.max(entryOn(call, state.account), calls.first[call]);
  const bare = entry === calls.first[call + 1];
  const kind = KINDS[calls.kind[call]], count = calls.first[call + 1] - calls.first[call];
  const seen = bare || !isSeen(entry) ? "" : money(calls.after[entry] ?? calls.before[entry]);
  const amount = bare || calls.amount[entry] === null ? "" : money(calls.amount[entry], true);
  const short = calls.kind[call] < READS ? seen && "= " + seen : count > 2 ? `${count} accounts` : amount;
  const long = short ? `${kind} ${short}` : kind;
  return [long, short, ""].find((text) => text.length <= characters);
}
