/** Jupyter's keys for the command mode: which key does what, and under which name the help sheet shows it. */
import type { Notebook } from './notebook.svelte';

type Work = (notebook: Notebook, page: Page) => void;
/** What keys do that is the page's own. */
export interface Page {
  find(): void;
  help(): void;
  numbers(): void;
  versions(): void;
  palette(): void;
}

type Binding = { keys: string; about: string; work: Work; reads?: boolean };

const move = (by: number, extend: boolean): Work => (notebook) => {
  if (notebook.document.step(by, extend)) notebook.show();
};
const kind = (to: 'code' | 'markdown' | 'raw'): Work => (notebook) => {
  notebook.document.turn(notebook.document.chosen, to);
  notebook.show();
};

/** Pressed twice within this, in milliseconds, it is the double key. */
export const TWICE_MS = 600;

export const BINDINGS: Binding[] = [
  { keys: 'Enter', about: 'Write in the cell', work: (notebook) => notebook.edit() },
  { keys: 'ArrowUp', about: 'The cell above', work: move(-1, false), reads: true },
  { keys: 'k', about: '', work: move(-1, false), reads: true },
  { keys: 'ArrowDown', about: 'The cell below', work: move(1, false), reads: true },
  { keys: 'j', about: '', work: move(1, false), reads: true },
  { keys: 'Shift ArrowUp', about: 'Choose the one above, too', work: move(-1, true), reads: true },
  { keys: 'Shift k', about: '', work: move(-1, true), reads: true },
  { keys: 'Shift ArrowDown', about: 'Choose the one below, too', work: move(1, true), reads: true },
  { keys: 'Shift j', about: '', work: move(1, true), reads: true },
  { keys: 'Alt ArrowUp', about: 'Move up', work: (notebook) => (notebook.document.move(-1), notebook.show()) },
  { keys: 'Alt ArrowDown', about: 'Move down', work: (notebook) => (notebook.document.move(1), notebook.show()) },
  { keys: 'a', about: 'A new cell above', work: (notebook) => notebook.add('code', 'above') },
  { keys: 'b', about: 'A new cell below', work: (notebook) => notebook.add('code', 'below') },
  { keys: 'd d', about: 'Delete', work: (notebook) => notebook.remove() },
  { keys: 'z', about: 'Undo the last change of cells', work: (notebook) => (notebook.document.undo(), notebook.show()) },
  { keys: 'Shift z', about: 'Redo it', work: (notebook) => (notebook.document.redo(), notebook.show()) },
  { keys: 'x', about: 'Cut', work: (notebook) => notebook.cut() },
  { keys: 'c', about: 'Copy', work: (notebook) => notebook.copy(), reads: true },
  { keys: 'v', about: 'Paste below', work: (notebook) => notebook.paste('below') },
  { keys: 'Shift v', about: 'Paste above', work: (notebook) => notebook.paste('above') },
  { keys: 'Shift m', about: 'Join those that are chosen, or with the one below', work: (notebook) => join(notebook) },
  { keys: 'y', about: 'Make it code', work: kind('code') },
  { keys: 'm', about: 'Make it text (Markdown)', work: kind('markdown') },
  { keys: 'r', about: 'Make it raw', work: kind('raw') },
  ...[1, 2, 3, 4, 5, 6].map((level) => ({ keys: String(level), about: level === 1 ? 'A heading, 1 to 6' : '', work: ((notebook) => heading(notebook, level)) as Work })),
  { keys: 'Control Enter', about: 'Run', work: (notebook) => run(notebook, 'stay') },
  { keys: 'Shift Enter', about: 'Run, and go on to the next', work: (notebook) => run(notebook, 'next') },
  { keys: 'Alt Enter', about: 'Run, and a new cell below', work: (notebook) => run(notebook, 'insert') },
  { keys: 'i i', about: 'Interrupt', work: (notebook) => void notebook.stop() },
  { keys: '0 0', about: 'Restart the interpreter', work: (notebook) => void notebook.restart() },
  { keys: 'o', about: 'Hide or show the output', work: (notebook) => fold(notebook) },
  { keys: 'l', about: 'Line numbers', work: (_, page) => page.numbers(), reads: true },
  { keys: 'Shift l', about: '', work: (_, page) => page.numbers(), reads: true },
  { keys: 's', about: 'Save now', work: (notebook) => void notebook.saving.flush() },
  { keys: 'f', about: 'Find and replace', work: (_, page) => page.find(), reads: true },
  { keys: 'p', about: 'All commands', work: (_, page) => page.palette(), reads: true },
  { keys: 'h', about: 'This sheet', work: (_, page) => page.help(), reads: true },
  { keys: 'Space', about: 'Scroll down; Shift Space up', work: () => scroll(1), reads: true },
  { keys: 'Shift Space', about: '', work: () => scroll(-1), reads: true },
];

/** Those of the edit mode; the editor itself knows them. */
export const EDIT_KEYS: [string, string][] = [
  ['Escape', 'To the command mode'],
  ['Shift Enter', 'Run, and go on to the next'],
  ['Ctrl Enter', 'Run'],
  ['Alt Enter', 'Run, and a new cell below'],
  ['Tab', 'Complete, or indent'],
  ['Shift Tab', 'What is this?, or less indent'],
  ['Ctrl Shift −', 'Split the cell here'],
  ['Ctrl /', 'Comment lines'],
  ['Ctrl Z', 'Undo in the text'],
];

/** The name of a pressed key as the list has it; Cmd counts as Control. */
export function nameOf(event: KeyboardEvent): string {
  const key = event.key === ' ' ? 'Space' : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const held = [event.ctrlKey || event.metaKey ? 'Control' : '', event.altKey ? 'Alt' : '', event.shiftKey ? 'Shift' : ''].filter(Boolean);
  return [...held, key].join(' ');
}

/** The binding that this key ends, given the key before it and how long ago that was. */
export function bindingOf(name: string, before: { name: string; ago: number } | null, mayWrite: boolean): Binding | null {
  const twice = before !== null && before.name === name && before.ago <= TWICE_MS ? BINDINGS.find(({ keys }) => keys === `${name} ${name}`) : undefined;
  const found = twice ?? BINDINGS.find(({ keys }) => keys === name);
  return found && (mayWrite || found.reads) ? found : null;
}

function run(notebook: Notebook, then: 'stay' | 'next' | 'insert'): void {
  const cell = notebook.document.current;
  if (cell) notebook.runFrom(cell, then);
}

function join(notebook: Notebook): void {
  const { document } = notebook;
  const chosen = document.chosen;
  const below = document.cells[document.index + 1];
  document.join(chosen.length > 1 ? chosen : below ? [...chosen, below] : []);
  notebook.show();
}

function heading(notebook: Notebook, level: number): void {
  const cell = notebook.document.current;
  if (!cell) return;
  notebook.document.heading(cell, level);
  notebook.edit();
}

function fold(notebook: Notebook): void {
  const hidden = notebook.document.chosen.some((cell) => !cell.outputsHidden);
  for (const cell of notebook.document.chosen) cell.hideOutputs(hidden);
  notebook.document.touch();
}

function scroll(by: 1 | -1): void {
  window.document.querySelector('[data-scroller]')?.scrollBy({ top: by * innerHeight * 0.8 });
}
