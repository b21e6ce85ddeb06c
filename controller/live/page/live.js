// Takes the stream of the server, keeps what it says, draws it; says when nothing comes.

import { chart } from "./charts.js";
import { diagram } from "./diagram.js";
import { clock, day, element, number, show, span } from "./format.js";
import { alarmList, planning, priceTable, prosumerCard, tiles } from "./panels.js";

const HISTORY_MS = 2 * 3600e3, MPC_KEPT = 36, SILENT_S = 12, RETRY_MS = 4000, CYCLES_MISSED = 2.5;

const site = await (await fetch("/api/v1/site")).json();
let now = null, connected = false, cycleAt = null, heardAt = performance.now(), due = false, alarmsDrawn = "";

function connect() {
  const stream = new EventSource("/api/v1/events");
  stream.onopen = () => { connected = true; };
  stream.onerror = () => {
    connected = false;
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
    tell();
  };
  on(stream, "now", (data) => { now = data; });
  on(stream, "update", update);
  on(stream, "beat", ({ age_s: age }) => { cycleAt = age === null ? null : performance.now() - 1000 * age; });
}

function on(stream, event, take) {
  stream.addEventListener(event, ({ data }) => {
    connected = true;
    heardAt = performance.now();
    take(JSON.parse(data));
    if (event !== "beat") drawSoon();
    tell();
  });
}

function update({ mode, cycle, mpc, alarms, ended, point }) {
  Object.assign(now, { mode, alarms, ended });
  if (cycle) {
    now.cycle = cycle;
    cycleAt = performance.now();
  }
  if (mpc) now.mpc = [...now.mpc, mpc].slice(-MPC_KEPT);
  if (point) {
    const oldest = Date.parse(point.time) - HISTORY_MS;
    now.history = [...now.history.filter((p) => Date.parse(p.time) >= oldest), point];
  }
}

function drawSoon() {
  if (!due && now) requestAnimationFrame(draw);
  due = Boolean(now);
}

function draw() {
  due = false;
  drawMode();
  drawAlarms();
  show("mpc", ...planning(site, now.mpc, now.cycle?.time, width("mpc")));
  const urgent = now.alarms.filter((a) => a.severity === "alarm").length;
  document.title = `${urgent ? `▲ ${urgent} · ` : ""}${site.name} · gridlab`;
  if (!now.cycle) return;
  drawGrid();
  show("tiles", ...tiles(site, now.cycle));
  drawHistory();
  show("prices", priceTable(site, now.cycle.prosumers));
  const here = site.prosumers.filter((p) => now.cycle.prosumers[p.name]);
  show("prosumers", ...here.map((p) => prosumerCard(p, now.cycle.prosumers[p.name])));
}

// Only when they changed: a screen reader reads them anew.
function drawAlarms() {
  const alarms = JSON.stringify([now.alarms, now.ended]);
  if (alarms === alarmsDrawn) return;
  const open = document.querySelector("#alarms details")?.open;
  show("alarms", ...alarmList(now.alarms, now.ended, open));
  alarmsDrawn = alarms;
}

function drawMode() {
  const badge = document.getElementById("mode");
  badge.textContent = now.mode ?? "no mode yet";
  badge.className = `badge ${now.mode ?? ""}`;
}

function drawGrid() {
  show("grid", diagram(site, now.cycle, width("grid")));
}

function width(id) {
  return document.getElementById(id).clientWidth;
}

function drawHistory() {
  const points = now.history, times = points.map((p) => p.time);
  const { v_min_pu: low, v_max_pu: high } = site.limits;
  show("voltage", chart(times,
    [{ values: points.map((p) => p.v_high_pu), class: "highest" }, { values: points.map((p) => p.v_low_pu), class: "lowest" }],
    { limits: [{ value: low, class: "limit" }, { value: high, class: "limit" }], label: (v) => number(v, 3), width: width("voltage"), height: 320, title: "Lowest and highest voltage" }));
  const prices = site.prosumers.map((p) => ({ values: points.map((q) => q.price_per_kwh[p.name]), colour: p.colour, dash: ["", "8 3", "2 3"][p.dashed] ?? "" }));
  show("price", chart(times, [...prices, { values: points.map((p) => p.tariff_per_kwh), class: "tariff" }],
    { label: (v) => number(v, 4), spread: 0.002, width: width("price"), title: "Prices of prosumers; dotted: tariff" }));
}

function tell() {
  const quiet = (performance.now() - heardAt) / 1000, age = cycleAt === null ? null : (performance.now() - cycleAt) / 1000;
  const time = now?.cycle?.time, of = time ? `What is shown is of ${clock(time)}.` : "";
  document.getElementById("time").textContent = time ? `${day(time)} ${clock(time)}` : "—";
  document.getElementById("age").textContent = time && age !== null ? `${notThisClock(time, age)}received ${span(age)} ago` : "";
  if (!connected || quiet > SILENT_S) banner("alarm", `Connection lost, no update for ${span(Math.max(quiet, age ?? 0))}. ${of}`);
  else if (now?.mode === "off") banner("warning", `OFF: no device is read or written. ${of}`);
  else if (age === null) banner("warning", "Waiting for the first cycle.");
  else if (age > CYCLES_MISSED * site.cycle_s) banner("alarm", `No update for ${span(age)}: the control loop is silent. ${of}`);
  else banner("", "");
}

// A simulated run has a time of its own; the page never passes it off as the time of day.
function notThisClock(time, age) {
  const off = Math.abs(Date.now() - 1000 * age - Date.parse(time));
  return off > 60e3 ? "time of the run, not of this clock; " : "";
}

function banner(kind, text) {
  const line = document.getElementById("banner");
  if (line.textContent !== text) line.textContent = text;
  line.className = `banner ${kind}`;
  line.hidden = !text;
  document.body.classList.toggle("old", Boolean(text));
}

show("name", site.name, " ", element("small", {}, `${number(site.voltage_v, 0, "V")}, ${site.zone}`));
show("price-unit", `${site.currency}/kWh, last 2 h; dotted: tariff`);
show("key", `Voltages in p.u. of ${number(site.voltage_v, 0, "V")}; the gauge runs from ${site.limits.v_min_pu} to ${site.limits.v_max_pu}. △ ▽ near a limit, ▲ ▼ beyond. Width of a line: its current. Power: positive is drawn.`);
addEventListener("resize", drawSoon);
setInterval(tell, 1000);
connect();
