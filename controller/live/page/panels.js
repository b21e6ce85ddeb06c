// Everything that is a table, a tile, a card or a list.

import { chart } from "./charts.js";
import { clock, drawn, element, known, number, span, swatch, UNKNOWN, words } from "./format.js";
import { loadLevel, rungLevel, voltageLevel } from "./levels.js";

const RUNS_SHOWN = 6;

export function tiles(site, cycle) {
  const [low, high] = worst(site, cycle.nodes);
  const devices = Object.values(cycle.devices), good = devices.filter((d) => d.quality === "good").length;
  const latency = Math.max(...devices.map((d) => d.latency_ms).filter(known));
  const age = Math.max(...devices.map((d) => d.age_s).filter(known));
  return [
    voltageTile(site, "Highest voltage", high),
    voltageTile(site, "Lowest voltage", low),
    slackTile(site, "Upper grid, P", cycle.slack_p_kw, site.slack_p_max_kw, "kW"),
    slackTile(site, "Upper grid, Q", cycle.slack_q_kvar, site.slack_q_max_kvar, "kvar"),
    tile("Cycle", number(cycle.cycle_ms, 0, "ms"), `allowed ${number(site.deadline_ms / 1000, 0, "s")}`, loadLevel(cycle.cycle_ms, site.deadline_ms)),
    tile("Missed cycles", number(cycle.missed, 0), cycle.backlog ? `${cycle.backlog} points wait` : "since the start", { level: cycle.missed ? "near" : "good" }),
    tile("Devices good", `${good} of ${devices.length}`, `slowest ${number(latency, 0, "ms")}, oldest ${number(age, 1, "s")}`,
      { level: good === devices.length ? "good" : "bad" }),
  ];
}

function worst(site, nodes) {
  const read = Object.entries(nodes).filter(([node, v]) => known(v) && node !== site.slack).sort((a, b) => a[1] - b[1]);
  return [read[0], read.at(-1)];
}

function voltageTile(site, title, found) {
  const { v_min_pu: low, v_max_pu: high } = site.limits;
  return tile(title, number(found?.[1], 4), found ? `p.u. at ${found[0]}, allowed ${low} … ${high}` : "no node read", voltageLevel(site, ...(found ?? [])));
}

function slackTile(site, title, value, limit, unit) {
  const way = !known(value) ? "" : value < 0 ? "fed in, " : "drawn, ";
  return tile(title, number(value, 2, unit), `${way}allowed ±${number(limit, 2)}`, loadLevel(value, limit, site.rating_tol * site.limits.slack_s_max_kva));
}

function tile(title, value, note, { level, sign = "" }) {
  return element("div", {}, element("dt", {}, title), element("dd", { class: level }, value + sign, element("small", {}, note)));
}

export function alarmList(standing, ended, open) {
  const list = standing.length
    ? element("ul", {}, ...standing.map((a) => alarmLine(a, `since ${clock(a.since)}`)))
    : element("p", { class: "good" }, "✓ No alarms");
  if (!ended.length) return [list];
  const past = ended.map((a) => alarmLine(a, `${clock(a.since)} – ${clock(a.until)}`));
  return [list, element("details", open ? { open: "" } : {}, element("summary", {}, `Ended: the last ${ended.length}`), element("ul", {}, ...past))];
}

function alarmLine(alarm, when) {
  const sign = alarm.severity === "alarm" ? "▲" : "△";
  return element("li", { class: alarm.until ? "" : alarm.severity },
    element("b", {}, `${sign} ${alarm.place}`), element("span", {}, alarm.text), element("time", {}, when));
}

export function priceTable(site, prosumers) {
  const rows = site.prosumers.map((p) => {
    const { price_chf_per_kwh: price, tariff_chf_per_kwh: tariff, compensation_chf: paid } = prosumers[p.name] ?? {};
    const off = known(price) && known(tariff) ? price - tariff : null;
    return element("tr", { "data-price": p.name }, element("th", {}, swatch(p), p.name), cell(number(price, 4)), cell(number(tariff, 4)),
      cell(known(off) && Math.abs(off) >= 5e-5 ? (off > 0 ? "+" : "") + number(off, 4) : known(off) ? "0" : UNKNOWN), cell(number(paid, 4)));
  });
  return table(["", "price", "tariff", "difference", `compensation, ${site.currency}`], rows);
}

export function prosumerCard(prosumer, now) {
  const rows = [
    ["target", now.p_target_kw, now.q_target_kvar],
    ["setpoint", now.p_setpoint_kw, now.q_setpoint_kvar],
    ["measured", now.p_measured_kw, now.q_measured_kvar, "strong"],
    ["load", now.load_kw],
    ["PV", prosumer.pv_peak_kw ? now.pv_kw : null, now.pv_kvar ? now.pv_kvar : undefined],
    ["battery", prosumer.battery_kwh ? now.battery_kw : null],
  ].map(([name, p, q, kind = ""]) => element("tr", { class: kind }, element("th", {}, name), cell(number(p, 2)), cell(q === undefined ? "" : number(q, 2))));
  const battery = prosumer.battery_kwh ? [soc(prosumer, now)] : [];
  return element("article", { class: "card prosumer", "data-prosumer": prosumer.name },
    element("header", {}, element("h3", {}, swatch(prosumer), prosumer.name), element("span", { class: "quiet" }, `${number(now.v_measured_pu, 4)} p.u.`),
      element("span", { class: `rung ${rungLevel(now.rung)}` }, now.rung ?? "passive")),
    table(["", "kW", "kvar"], rows), ...battery,
    element("p", { class: "reasons" }, now.reasons.length ? now.reasons.map(words).join(", ") : now.rung ? "as planned" : "measured"));
}

function soc(prosumer, now) {
  const bar = drawn("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    drawn("rect", { class: "track", width: 100, height: 10 }));
  if (known(now.soc)) bar.append(drawn("rect", { class: "fill", width: 100 * now.soc, height: 10 }));
  for (const bound of [prosumer.soc_min, prosumer.soc_max])
    bar.append(drawn("line", { class: "bound", x1: 100 * bound, x2: 100 * bound, y1: 0, y2: 10, "vector-effect": "non-scaling-stroke" }));
  const doing = !known(now.battery_kw) || Math.abs(now.battery_kw) < 0.005 ? "" : now.battery_kw > 0 ? " ↓" : " ↑";
  return element("div", { class: "soc" }, element("span", { class: "quiet" }, "SoC"), bar,
    element("b", {}, known(now.soc) ? number(100 * now.soc, 1, "%") + doing : UNKNOWN));
}

export function planning(site, runs, dataTime, width) {
  if (!runs.length) return [element("p", { class: "quiet" }, "no run yet")];
  const rows = runs.slice(-RUNS_SHOWN).reverse().map((run) => element("tr", {},
    element("th", {}, clock(run.time)), element("td", { class: `left ${run.status === "converged" ? "good" : "bad"}` }, words(run.status)),
    cell(run.adopted ? "adopted" : "not adopted"), cell(number(run.iterations, 0)), cell(known(run.gap_rel) ? number(100 * run.gap_rel, 3, "%") : UNKNOWN),
    cell(number(run.violation_pu, 5)), cell(number(run.wall_ms, 0))));
  const since = dataTime ? (Date.parse(dataTime) - Date.parse(runs.at(-1).time)) / 1000 : null;
  const last = element("p", { class: "quiet key" },
    `Last run ${known(since) ? span(Math.max(0, since)) : UNKNOWN} before the data shown; gap allowed ${number(100 * site.gap_tol, 2, "%")}, budget ${number(site.mpc_budget_ms / 1000, 0, "s")}.`);
  const times = runs.map((run) => run.time), chartWidth = width < 700 ? width : (2 / 5) * width;
  const gaps = chart(times, [{ values: runs.map((run) => known(run.gap_rel) ? 100 * run.gap_rel : null), class: "ink" }],
    { limits: [{ value: 100 * site.gap_tol, class: "limit" }, { value: 0, class: "axis" }], label: (v) => number(v, 2, "%"), width: chartWidth, height: 95, title: "Gap of the last runs" });
  const walls = chart(times, [{ values: runs.map((run) => run.wall_ms), class: "ink" }],
    { limits: [{ value: 0, class: "axis" }], label: (v) => number(v / 1000, 1, "s"), width: chartWidth, height: 95, title: "Wall time of the last runs" });
  const title = (text) => element("p", { class: "quiet" }, text);
  return [
    element("div", {}, element("div", { class: "scroll" }, table(["began", "", "plan", "iterations", "gap", "violation, p.u.", "wall, ms"], rows)), last),
    element("div", {}, title("Gap; dashed: allowed"), gaps, title("Wall time"), walls),
  ];
}

function table(titles, rows) {
  return element("table", {}, element("thead", {}, element("tr", {}, ...titles.map((title) => element("th", {}, title)))), element("tbody", {}, ...rows));
}

function cell(text) {
  return element("td", {}, text);
}
