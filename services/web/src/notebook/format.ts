/** Notebooks as documents: nbformat 4.5. What this app does not know of it is kept as it came. */

export type Json = Record<string, unknown>;
export type CellKind = 'code' | 'markdown' | 'raw';
export type CellContent = Json & {
  id: string;
  cell_type: CellKind;
  source: string;
  metadata: Json;
  outputs?: Json[];
  execution_count?: number | null;
  attachments?: Json;
};
export type Content = Json & { cells: CellContent[]; metadata: Json };

const ID_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const ID_LENGTH = 12;

export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(ID_LENGTH))].map((byte) => ID_LETTERS[byte % ID_LETTERS.length]).join('');
}

export function newCell(kind: CellKind, source = ''): CellContent {
  const cell: CellContent = { id: newId(), cell_type: kind, metadata: {}, source };
  return kind === 'code' ? { ...cell, execution_count: null, outputs: [] } : cell;
}

/** As the app works with it: texts whole instead of lists of lines, an id for every cell. */
export function normal(content: unknown): Content {
  const notebook = isJson(content) ? content : {};
  const cells = Array.isArray(notebook['cells']) ? notebook['cells'].filter(isJson) : [];
  const seen = new Set<string>();
  return {
    nbformat: 4,
    nbformat_minor: 5,
    ...notebook,
    metadata: isJson(notebook['metadata']) ? notebook['metadata'] : {},
    cells: cells.map((cell) => {
      const id = typeof cell['id'] === 'string' && cell['id'] !== '' && !seen.has(cell['id']) ? cell['id'] : newId();
      seen.add(id);
      const kind = cell['cell_type'] === 'code' || cell['cell_type'] === 'markdown' ? cell['cell_type'] : 'raw';
      const whole: CellContent = { ...cell, id, cell_type: kind, source: text(cell['source']), metadata: isJson(cell['metadata']) ? cell['metadata'] : {} };
      if (kind === 'code') {
        whole.outputs = Array.isArray(cell['outputs']) ? cell['outputs'].filter(isJson) : [];
        whole.execution_count = typeof cell['execution_count'] === 'number' ? cell['execution_count'] : null;
      }
      return whole;
    }),
  };
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.map(String).join('') : '';
}

/** Whether two values are the same as JSON. */
export function same(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) return left.length === right.length && left.every((one, at) => same(one, right[at]));
  if (!isJson(left) || !isJson(right)) return false;
  const keys = Object.keys(left).filter((key) => left[key] !== undefined);
  return keys.length === Object.keys(right).filter((key) => right[key] !== undefined).length && keys.every((key) => same(left[key], right[key]));
}
