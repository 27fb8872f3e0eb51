/** Lines of styled text, and where each begins when they are broken into rows. Only what changed is counted again. */
import { isAscii, rowCount, starts } from './wrap';

/** From this character on, this style; in order, the first at 0. None: all plain. */
export type Runs = { at: number; style: number }[] | null;
export type Segment = { text: string; style: number };

export class Lines {
  private readonly text: string[] = [''];
  private readonly runs: Runs[] = [null];
  /** A line that only goes on because the one before was too long to keep whole. */
  private readonly soft: boolean[] = [false];
  private readonly firstRow: number[] = [0];
  private counted = 0;
  private columns = 80;
  /** Characters held. */
  size = 0;
  /** Lines forgotten from the front. */
  dropped = 0;

  get length(): number {
    return this.text.length;
  }

  lengthOf(line: number): number {
    return this.text[line]?.length ?? 0;
  }

  push(soft = false): void {
    this.text.push('');
    this.runs.push(null);
    this.soft.push(soft);
  }

  /** Writes over what stands at the column, or past the end, filling with blanks. */
  write(line: number, column: number, text: string, style: number): void {
    const old = this.text[line] ?? '';
    const runs = this.runs[line] ?? null;
    if (column >= old.length) {
      const gap = column - old.length;
      this.text[line] = gap > 0 ? old + ' '.repeat(gap) + text : old + text;
      this.size += gap + text.length;
      const last = runs?.at(-1)?.style ?? 0;
      if (gap > 0 && last !== 0) this.runs[line] = [...(runs ?? []), { at: old.length, style: 0 }, { at: column, style }];
      else if (style !== last) this.runs[line] = [...(runs ?? [{ at: 0, style: 0 }]), { at: column, style }];
    } else {
      const end = column + text.length;
      this.text[line] = old.slice(0, column) + text + old.slice(end);
      this.size += Math.max(0, end - old.length);
      if (runs || style !== 0) this.runs[line] = over(runs, column, end, Math.max(end, old.length), style);
    }
    this.counted = Math.min(this.counted, line);
  }

  /** Cuts the line at the column. */
  truncate(line: number, column: number): void {
    const old = this.text[line] ?? '';
    if (column >= old.length) return;
    this.size -= old.length - column;
    this.text[line] = old.slice(0, column);
    const runs = this.runs[line];
    if (runs) this.runs[line] = runs.filter((run) => run.at < column || run.at === 0);
    this.counted = Math.min(this.counted, line);
  }

  /** Forgets the first lines. */
  drop(count: number): void {
    for (let line = 0; line < count; line += 1) this.size -= this.text[line]?.length ?? 0;
    this.text.splice(0, count);
    this.runs.splice(0, count);
    this.soft.splice(0, count);
    this.dropped += count;
    this.counted = 0;
  }

  /** Rows of all lines, when broken at so many columns. */
  rows(columns: number): number {
    if (columns !== this.columns) {
      this.columns = columns;
      this.counted = 0;
    }
    for (let line = this.counted; line < this.text.length; line += 1) {
      this.firstRow[line + 1] = (this.firstRow[line] ?? 0) + rowCount(this.text[line] ?? '', columns);
    }
    this.counted = Math.max(0, this.text.length - 1);
    return this.firstRow[this.text.length] ?? 0;
  }

  /** Nothing stands after the last line end. */
  get endsEmpty(): boolean {
    return this.text.length > 1 && this.text.at(-1) === '';
  }

  /** The rows from `from` to before `to`, in segments of one style. Call `rows` first. */
  slice(from: number, to: number): { row: number; segments: Segment[] }[] {
    const found: { row: number; segments: Segment[] }[] = [];
    for (let line = this.lineAt(from); line < this.text.length; line += 1) {
      const first = this.firstRow[line] ?? 0;
      if (first >= to) break;
      const text = this.text[line] ?? '';
      const breaks = isAscii(text) ? null : starts(text, this.columns);
      const last = this.firstRow[line + 1] ?? first + 1;
      for (let row = Math.max(first, from); row < Math.min(last, to); row += 1) {
        const index = row - first;
        const begin = breaks ? (breaks[index] ?? 0) : index * this.columns;
        const end = breaks ? (breaks[index + 1] ?? text.length) : Math.min(begin + this.columns, text.length);
        found.push({ row, segments: segments(text, this.runs[line] ?? null, begin, end) });
      }
    }
    return found;
  }

  /** Everything that is held, as text. */
  plain(): string {
    let whole = '';
    for (let line = 0; line < this.text.length; line += 1) {
      if (line > 0 && !this.soft[line]) whole += '\n';
      whole += this.text[line];
    }
    return whole;
  }

  private lineAt(row: number): number {
    let low = 0;
    let high = this.text.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.firstRow[middle] ?? 0) <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function segments(text: string, runs: Runs, begin: number, end: number): Segment[] {
  if (!runs) return begin < end ? [{ text: text.slice(begin, end), style: 0 }] : [];
  const found: Segment[] = [];
  for (const [index, run] of runs.entries()) {
    const from = Math.max(run.at, begin);
    const to = Math.min(runs[index + 1]?.at ?? text.length, end);
    if (from < to) found.push({ text: text.slice(from, to), style: run.style });
  }
  return found;
}

/** The runs of a line of that length after `[from, to)` has taken the style. */
function over(runs: Runs, from: number, to: number, length: number, style: number): Runs {
  const old = runs ?? [{ at: 0, style: 0 }];
  const after = old.findLast((run) => run.at <= to)?.style ?? 0;
  const next = old.filter((run) => run.at < from);
  next.push({ at: from, style });
  if (to < length) next.push({ at: to, style: after }, ...old.filter((run) => run.at > to));
  return next.filter((run, index) => run.style !== next[index - 1]?.style);
}
