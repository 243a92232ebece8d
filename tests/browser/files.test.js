import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const dashboard = path.resolve(import.meta.dirname, '../../dashboard');
const client = path.resolve(import.meta.dirname, '../../clients/js');
const PAGES = ['index.html', 'event.html'];

const read = (file) => readFile(path.join(dashboard, file), 'utf8');

/** Where a page's address leads to. */
const onDisk = (address) =>
  address.startsWith('/clients/js/')
    ? path.join(client, address.slice('/clients/js/'.length))
    : path.join(dashboard, address);

/** The modules that a module needs, it among them. */
async function modulesOf(file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  const code = await readFile(file, 'utf8');
  for (const [, target] of code.matchAll(/^(?:import|export)\s[^'"]*?['"]([./][^'"]+)['"];?$/gm)) {
    await modulesOf(target.startsWith('/') ? onDisk(target) : path.resolve(path.dirname(file), target), found);
  }
  return found;
}

test('a page loads less than 400 KB, compressed', async (t) => {
  for (const page of PAGES) {
    const html = await read(page);
    const files = new Set([path.join(dashboard, page)]);
    for (const [, address] of html.matchAll(/(?:href|src)="([^"#]+\.(?:js|css|svg|woff2))"/g)) {
      for (const file of address.endsWith('.js') ? await modulesOf(onDisk(address)) : [onDisk(address)])
        files.add(file);
    }
    let size = 0;
    for (const file of files) {
      const content = await readFile(file);
      // A font is compressed as it is.
      size += file.endsWith('.woff2') ? content.length : gzipSync(content, { level: 6 }).length;
    }
    t.diagnostic(`${page}: ${files.size} files, ${(size / 1000).toFixed(1)} KB compressed`);
    assert.ok(size < 400_000);
  }
});

test('a page preloads the modules that it needs, and no others', async () => {
  for (const page of PAGES) {
    const html = await read(page);
    const preloaded = [...html.matchAll(/<link rel="modulepreload" href="([^"]+)">/g)]
      .map(([, address]) => onDisk(address))
      .toSorted();
    const [, entry] = html.match(/<script type="module" src="([^"]+)">/);
    const needed = await modulesOf(onDisk(entry));
    needed.delete(onDisk(entry));
    assert.deepEqual(preloaded, [...needed].toSorted(), page);
  }
});

test('the pages hold nothing that their policy forbids', async () => {
  for (const page of PAGES) {
    const html = await read(page);
    assert.doesNotMatch(html, /\sstyle=|<style|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:/i);
    assert.doesNotMatch(html, /(?:src|href)="(?:https?:)?\/\//);
  }
});

test('what is vendored is small, and has its licence and version beside it', async () => {
  const vendor = path.join(dashboard, 'vendor');
  for (const library of await readdir(vendor)) {
    const files = await readdir(path.join(vendor, library));
    assert.ok(files.includes('LICENSE') && files.includes('VERSION'), library);
    const sizes = await Promise.all(
      files.map(async (file) => (await readFile(path.join(vendor, library, file))).length),
    );
    assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 250_000, `${library}: ${sizes}`);
    assert.match(await readFile(path.join(vendor, library, 'VERSION'), 'utf8'), /\d+\.\d+\.\d+/);
  }
});

test('both pages have the same dialog for tokens', async () => {
  const [one, other] = await Promise.all(
    PAGES.map(async (page) => (await read(page)).match(/<dialog id="token-dialog"[^]*?<\/dialog>/)[0]),
  );
  assert.equal(one, other);
});
