/** The cells of a notebook and what can be done to them; each change of shape can be undone. */
import { Cell } from './cell.svelte';
import { type CellContent, type CellKind, type Content, type Json, newCell, normal } from './format';

const MOST_UNDO = 100;

/** The cells as they stood, and the texts of those that the step changed. */
type Step = { cells: readonly Cell[]; contents: Map<Cell, CellContent>; at: string };

export class Document {
  cells = $state.raw<readonly Cell[]>([]);
  metadata = $state.raw<Json>({});
  /** The cell that is chosen, and the other end of what is chosen with it. */
  at = $state('');
  anchor = $state('');
  mode = $state<'command' | 'edit'>('command');
  /** Grows with everything that is to be saved. */
  changes = $state(0);
  canUndo = $state(false);
  private rest: Json = {};
  private undone: Step[] = [];
  private done: Step[] = [];

  constructor(content: unknown) {
    this.take(normal(content));
    this.at = this.anchor = this.cells[0]?.id ?? '';
  }

  /** Becomes that content; cells that are known stay what they are, with their editors and runs. */
  take(content: Content): void {
    const { cells, metadata, ...rest } = content;
    const known = new Map(this.cells.map((cell) => [cell.id, cell]));
    this.cells = cells.map((one) => {
      const cell = known.get(one.id);
      cell?.take(one);
      return cell ?? new Cell(one);
    });
    [this.metadata, this.rest] = [metadata, rest];
    if (!this.find(this.at)) this.choose(this.cells[0]?.id ?? '');
  }

  content(): Content {
    return { ...this.rest, metadata: this.metadata, cells: this.cells.map((cell) => cell.content()) };
  }

  find(id: string): Cell | undefined {
    return this.cells.find((cell) => cell.id === id);
  }

  get current(): Cell | undefined {
    return this.find(this.at);
  }

  get index(): number {
    return this.cells.findIndex((cell) => cell.id === this.at);
  }

  /** Those that are chosen, in their order. */
  get chosen(): readonly Cell[] {
    const [one, two] = [this.index, this.cells.findIndex((cell) => cell.id === this.anchor)];
    if (one < 0) return [];
    return two < 0 ? this.cells.slice(one, one + 1) : this.cells.slice(Math.min(one, two), Math.max(one, two) + 1);
  }

  choose(id: string, extend = false): void {
    this.at = id;
    if (!extend || !this.find(this.anchor)) this.anchor = id;
  }

  /** To the next or the last cell before; false at the end. */
  step(by: number, extend = false): boolean {
    const next = this.cells[this.index + by];
    if (next) this.choose(next.id, extend);
    return next !== undefined;
  }

  write(cell: Cell, source: string): void {
    if (cell.source === source) return;
    cell.source = source;
    this.touch();
  }

  touch(): void {
    this.changes += 1;
  }

  insert(at: number, contents: readonly CellContent[]): Cell[] {
    const made = contents.map((content) => new Cell(content));
    this.shape([], () => (this.cells = [...this.cells.slice(0, at), ...made, ...this.cells.slice(at)]));
    const last = made.at(-1);
    if (last) this.choose(last.id);
    return made;
  }

  add(kind: CellKind, at: number, source = ''): Cell {
    const [cell] = this.insert(at, [newCell(kind, source)]);
    return cell as Cell;
  }

  remove(cells: readonly Cell[]): void {
    const first = this.cells.findIndex((cell) => cells.includes(cell));
    if (first < 0) return;
    this.shape([], () => {
      this.cells = this.cells.filter((cell) => !cells.includes(cell));
      if (this.cells.length === 0) this.cells = [new Cell(newCell('code'))];
    });
    this.choose(this.cells[Math.min(first, this.cells.length - 1)]?.id ?? '');
  }

  /** Before the cell that stands at that place now. */
  moveTo(cells: readonly Cell[], place: number): void {
    const before = this.cells[place];
    if (before && cells.includes(before)) return;
    const others = this.cells.filter((cell) => !cells.includes(cell));
    const at = before ? others.indexOf(before) : others.length;
    const moved = [...others.slice(0, at), ...cells, ...others.slice(at)];
    if (moved.every((cell, index) => cell === this.cells[index])) return;
    this.shape([], () => (this.cells = moved));
  }

  move(by: -1 | 1): void {
    const chosen = this.chosen;
    const first = this.cells.indexOf(chosen[0] as Cell);
    const last = this.cells.indexOf(chosen.at(-1) as Cell);
    if (by < 0 && first > 0) this.moveTo(chosen, first - 1);
    if (by > 0 && last < this.cells.length - 1) this.moveTo(chosen, last + 2);
  }

  turn(cells: readonly Cell[], kind: CellKind): void {
    this.shape(cells, () => {
      for (const cell of cells) {
        if (cell.kind === kind) continue;
        cell.take({ ...cell.content(), cell_type: kind, outputs: [], execution_count: null });
        cell.run = null;
        cell.open = kind === 'markdown' && cell.source === '';
      }
    });
  }

  /** Puts `#` before a Markdown cell's first line, so many; what is code becomes Markdown. */
  heading(cell: Cell, level: number): void {
    if (cell.kind !== 'markdown') this.turn([cell], 'markdown');
    const text = cell.source.replace(/^#{1,6}\s+/, '');
    this.shape([cell], () => (cell.source = `${'#'.repeat(level)} ${text}`));
    cell.open = true;
  }

  split(cell: Cell, at: number): void {
    const index = this.cells.indexOf(cell);
    this.shape([cell], () => {
      const before = cell.source.slice(0, at).replace(/\n$/, '');
      const after = new Cell({ ...newCell(cell.kind, cell.source.slice(at).replace(/^\n/, '')), metadata: cell.metadata });
      after.open = cell.open;
      cell.source = before;
      this.cells = [...this.cells.slice(0, index + 1), after, ...this.cells.slice(index + 1)];
      this.choose(after.id);
    });
  }

  join(cells: readonly Cell[]): void {
    const [first, ...rest] = cells;
    if (!first || rest.length === 0) return;
    this.shape([first], () => {
      const attachments = Object.assign({}, ...cells.map((cell) => cell.attachments)) as Json;
      first.source = cells.map((cell) => cell.source).join(first.kind === 'code' ? '\n' : '\n\n');
      if (first.kind !== 'code' && Object.keys(attachments).length > 0) first.attachments = attachments;
      first.clearOutputs();
      this.cells = this.cells.filter((cell) => !rest.includes(cell));
      this.choose(first.id);
    });
  }

  attach(cell: Cell, name: string, media: string, encoded: string): void {
    cell.attachments = { ...cell.attachments, [name]: { [media]: encoded } };
    this.touch();
  }

  undo(): void {
    this.back(this.done, this.undone);
  }

  redo(): void {
    this.back(this.undone, this.done);
  }

  /** A change of shape, kept so that it can be undone. */
  shape(changed: readonly Cell[], work: () => void): void {
    this.done = [...this.done, this.now(changed)].slice(-MOST_UNDO);
    this.undone = [];
    work();
    this.canUndo = true;
    this.touch();
  }

  private now(changed: Iterable<Cell>): Step {
    return { cells: this.cells, contents: new Map([...changed].map((cell) => [cell, cell.content()])), at: this.at };
  }

  private back(from: Step[], to: Step[]): void {
    const step = from.pop();
    if (!step) return;
    to.push(this.now(step.contents.keys()));
    this.cells = step.cells;
    for (const [cell, content] of step.contents) cell.take(content);
    this.choose(this.find(step.at) ? step.at : (this.cells[0]?.id ?? ''));
    this.canUndo = this.done.length > 0;
    this.touch();
  }
}
