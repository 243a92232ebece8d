const cell = (text, kind = "") => Object.assign(document.createElement("td"), { textContent: text, className: kind });
const row = (...cells) => { const tr = document.createElement("tr"); tr.append(...cells); return tr; };
async function refresh() {
  const status = await (await fetch("/_local")).json();
  connections.textContent = `${status.connections} socket${status.connections === 1 ? "" : "s"} open.`;
  places.replaceChildren(...status.places.map(p => row(cell(p.name), cell(p.address, "mono"))));
  functions.replaceChildren(...status.functions.map(f => row(
    cell(f.name, "mono"), cell(f.invocations.toLocaleString(), "n"),
    cell(f.errors.toLocaleString(), f.errors ? "n bad" : "n"),
    cell(f.processes.map(p => `${p.pid} ${p.state}`).join(", ") || "none"))));
}
const [connections, places, functions] = ["connections", "places", "functions"].map(id => document.getElementById(id));
const loop = () => refresh().catch(() => connections.textContent = "It does not answer.").finally(() => setTimeout(loop, 1000));
loop();
