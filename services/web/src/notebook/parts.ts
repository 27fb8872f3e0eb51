/** Parts of a notebook that are run as a whole. */
import type { Notebook } from './notebook.svelte';

export function runAbove(notebook: Notebook): void {
  const { cells, index } = notebook.document;
  const last = cells[index - 1];
  if (last) void notebook.runOnServer({ to: last.id });
}

export function runBelow(notebook: Notebook): void {
  const { at } = notebook.document;
  if (at) void notebook.runOnServer({ from: at });
}
