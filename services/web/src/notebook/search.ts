/** Finding and replacing in the cells of a notebook. */

export type Found = { cell: string; from: number; to: number };
type Text = { id: string; source: string };

/** Places are kept up to here; there is no use in more. */
export const MOST_FOUND = 10_000;

export function find(cells: readonly Text[], wanted: string, exactCase: boolean): Found[] {
  if (wanted === '') return [];
  const pattern = patternOf(wanted, exactCase);
  const found: Found[] = [];
  for (const { id, source } of cells) {
    for (const match of source.matchAll(pattern)) {
      found.push({ cell: id, from: match.index, to: match.index + match[0].length });
      if (found.length >= MOST_FOUND) return found;
    }
  }
  return found;
}

export function replaceAll(source: string, wanted: string, by: string, exactCase: boolean): string {
  return wanted === '' ? source : source.replace(patternOf(wanted, exactCase), () => by);
}

function patternOf(wanted: string, exactCase: boolean): RegExp {
  return new RegExp(wanted.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`), exactCase ? 'gu' : 'giu');
}
