/**
 * What a spreadsheet would take for a formula, wherever it came from: at the beginning of a cell, and behind what some
 * of them take for the end of one (a semicolon, in half of Europe).
 */
const FORMULA = /(^|[;\t\r\n])(?=\s*[=+\-@\t\r])/g;

/**
 * A table as CSV (RFC 4180).
 * @param {string[]} heads
 * @param {Array<Array<string | number | null | undefined>>} rows
 */
export function csvOf(heads, rows) {
  return [heads, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

function cell(value) {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toFixed(4)));
  const text = value ?? '';
  const safe = text.replaceAll(FORMULA, "$1'");
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * Hands a table to the viewer as a file. The mark at its beginning tells Excel that it is UTF-8.
 * @param {string} name
 * @param {string} csv
 */
export function download(name, csv) {
  const url = URL.createObjectURL(new Blob(['\uFEFF', csv], { type: 'text/csv;charset=utf-8' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${name}-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.csv`;
  link.click();
  // Not at once: the browser may still be reading it.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
