/** What a browser loads before it shows the first page stays small: the built shell, without the editor and the fonts. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

const DIST = path.resolve(import.meta.dirname, '../dist');
const MOST_BYTES = 150_000;

/** The scripts and styles that the page names, and what those import before they run. */
function loaded(): Set<string> {
  const page = readFileSync(path.join(DIST, 'index.html'), 'utf8');
  const names = new Set([...page.matchAll(/(?:src|href)="\/([^"]+\.(?:js|css))"/g)].map((match) => match[1] as string));
  for (const name of names) {
    if (!name.endsWith('.js')) continue;
    const code = readFileSync(path.join(DIST, name), 'utf8');
    for (const match of code.matchAll(/(?:^|[;}\s])import\s*(?:[\w${},*\s]+from\s*)?["'](\.\/[^"']+)["']/g)) names.add(path.posix.join(path.posix.dirname(name), match[1] as string));
  }
  return names;
}

test('the shell has at most 150 kB, compressed', () => {
  const names = loaded();
  const sizes = [...names].map((name) => [name, gzipSync(readFileSync(path.join(DIST, name))).length] as const);
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  expect(names.size).toBeGreaterThan(3);
  expect([...names].some((name) => /codemirror|NotebookPage/.test(name))).toBe(false);
  expect(total, sizes.map(([name, size]) => `${name} ${size}`).join(', ')).toBeLessThan(MOST_BYTES);
  expect(total).toBeGreaterThan(20_000);
});
