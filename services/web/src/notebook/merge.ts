/**
 * Two changed notebooks and the one that both began with, made one: cell by cell, field by field. Only a text that was
 * changed on both sides is a question; nothing that somebody wrote is dropped without asking.
 */
import { type CellContent, type Content, type Json, same } from './format';

export type Conflict = { id: string; mine: string; theirs: string };
export type Merged = { content: Content; conflicts: Conflict[] };

export function merge(base: Content, mine: Content, theirs: Content): Merged {
  const conflicts: Conflict[] = [];
  const [old, here, there] = [base, mine, theirs].map((content) => new Map(content.cells.map((cell) => [cell.id, cell]))) as [Cells, Cells, Cells];
  const cells: CellContent[] = [];
  for (const id of order(base, mine, theirs)) {
    const [before, my, their] = [old.get(id), here.get(id), there.get(id)];
    if (my && their) {
      const source = choose(before?.source, my.source, their.source);
      if (source === 'both') conflicts.push({ id, mine: my.source, theirs: their.source });
      cells.push(mergeCell(before, my, their));
    } else if (my && (!before || wrote(before, my))) cells.push(my);
    else if (their && (!before || wrote(before, their))) cells.push(their);
  }
  const metadata = mergeFields(base.metadata, mine.metadata, theirs.metadata);
  return { content: { ...theirs, metadata, cells }, conflicts };
}

type Cells = Map<string, CellContent>;

/** A cell that one side deleted comes back when the other has written in it since. */
function wrote(before: CellContent, after: CellContent): boolean {
  return before.source !== after.source || !same(before.attachments, after.attachments);
}

function choose<T>(before: T | undefined, mine: T, theirs: T): 'same' | 'mine' | 'theirs' | 'both' {
  if (same(mine, theirs)) return 'same';
  if (same(before, theirs)) return 'mine';
  return same(before, mine) ? 'theirs' : 'both';
}

/** Mine where both wrote; results are theirs then, for they belong together and can be had again. */
function mergeCell(before: CellContent | undefined, mine: CellContent, theirs: CellContent): CellContent {
  const merged: Json = {};
  for (const key of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
    if (key === 'metadata') merged[key] = mergeFields(before?.metadata ?? {}, mine.metadata, theirs.metadata);
    else {
      const side = choose(before?.[key], mine[key], theirs[key]);
      const results = key === 'outputs' || key === 'execution_count';
      const value = side === 'theirs' || (side === 'both' && results) ? theirs[key] : mine[key];
      if (value !== undefined) merged[key] = value;
    }
  }
  return merged as CellContent;
}

function mergeFields(before: Json, mine: Json, theirs: Json): Json {
  const merged: Json = {};
  for (const key of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
    const value = choose(before[key], mine[key], theirs[key]) === 'mine' ? mine[key] : theirs[key];
    if (value !== undefined) merged[key] = value;
  }
  return merged;
}

/** The order of whoever moved cells, mine when both did; what only the other has stands where it stood there. */
function order(base: Content, mine: Content, theirs: Content): string[] {
  const ids = (content: Content) => content.cells.map((cell) => cell.id);
  const [old, here, there] = [ids(base), ids(mine), ids(theirs)];
  const common = new Set(old.filter((id) => here.includes(id) && there.includes(id)));
  const moved = (list: string[]) => !same(list.filter((id) => common.has(id)), old.filter((id) => common.has(id)));
  const [first, second] = moved(there) && !moved(here) ? [there, here] : [here, there];
  const result = [...first];
  second.forEach((id, at) => {
    if (result.includes(id)) return;
    const previous = second.slice(0, at).reverse().find((one) => result.includes(one));
    result.splice(previous === undefined ? 0 : result.indexOf(previous) + 1, 0, id);
  });
  return result;
}
