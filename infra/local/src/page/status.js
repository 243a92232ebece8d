const cell = (text, kind = "") => Object.assign(document.createElement("td"), { textContent: text, className: kind });
const row = (...cells) => { const tr = document.createElement("tr"); tr.append(...cells); return tr; };
const dollars = (usd, digits) => usd.toLocaleString(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const sum = lines => lines.reduce((usd, line) => usd + line.usd, 0);
async function refreshCosts() {
  const { lines, seconds, limits, throttled: met, busiest } = await (await fetch("/_local/costs")).json();
  const price = usd => [cell(dollars(usd, 6), "n"), cell(dollars(usd / seconds * 3600, 4), "n")];
  const rows = lines.filter(line => line.amount > 0).map(({ service, what, amount, unit, usd }) => row(
    cell(service), cell(what, "mono"), cell(amount.toLocaleString(undefined, { maximumFractionDigits: 1 }), "n"), cell(unit), ...price(usd)));
  costs.replaceChildren(...rows, row(cell("sum"), cell(""), cell(""), cell(""), ...price(sum(lines))));
  throttled.textContent = [
    ...met.map(({ limit, times }) => `Throttled ${times} times by ${limit}.`),
    ...(met.length ? [] : [limits === "aws" ? "Nothing was throttled by AWS's limits." : "Nothing is throttled: --limits aws would."]),
    ...busiest.map(({ what, key, unitsInASecond }) => `At most ${unitsInASecond} ${what} in a second of ${key}.`),
  ].join(" ");
}
async function refresh() {
  const status = await (await fetch("/_local")).json();
  connections.textContent = `${status.connections} socket${status.connections === 1 ? "" : "s"} open.`;
  places.replaceChildren(...status.places.map(p => row(cell(p.name), cell(p.address, "mono"))));
  functions.replaceChildren(...status.functions.map(f => row(
    cell(f.name, "mono"), cell(f.invocations.toLocaleString(), "n"),
    cell(f.errors.toLocaleString(), f.errors ? "n bad" : "n"),
    cell(f.processes.map(p => `${p.pid} ${p.state}`).join(", ") || "none"))));
}
const [connections, places, functions, costs, throttled] = ["connections", "places", "functions", "costs", "throttled"].map(id => document.getElementById(id));
const loop = () => refresh().then(refreshCosts).catch(() => connections.textContent = "It does not answer.").finally(() => setTimeout(loop, 1000));
loop();
