/** Output as a terminal shows it: colours, carriage returns, cursor movement within what was printed. */
import { Lines } from './lines';
import { type Palette, PLAIN, type Style, select } from './style';

/** A longer line goes on in the next, so that no single one is slow to show. */
const LONGEST_LINE = 16_384;
/** What is kept to show; the whole stays on the server. */
export const MOST_LINES = 200_000;
export const MOST_CHARACTERS = 24_000_000;
/** How far a program may send the cursor past what it printed. */
const MOST_COLUMNS = 2_000;

export type Stream = 'stdout' | 'stderr' | 'typed';

const CONTROL = /[\x00-\x1f\x7f]/g;
// A control sequence of ECMA-48, an operating system command, or a two-character escape.
const ESCAPE = /\x1b(?:\[([<-?]?)([0-9;:]*)[ -/]*([@-~])|\](?:[^\x07\x1b]*)(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-Z\\^-~])/y;
/** An escape sequence longer than this is none. */
const LONGEST_ESCAPE = 4_096;

export class Screen {
  readonly lines = new Lines();
  private line = 0;
  private column = 0;
  /** The first line that the cursor reaches: below what was cleared away. */
  private top = 0;
  private readonly styles: Record<Stream, Style> = {
    stdout: PLAIN,
    stderr: { ...PLAIN, stderr: true },
    typed: { ...PLAIN, typed: true },
  };
  /** The beginning of a sequence that is not whole yet. */
  private readonly rest: Record<Stream, string> = { stdout: '', stderr: '', typed: '' };

  constructor(private readonly palette: Palette) {}

  get empty(): boolean {
    return this.lines.length === 1 && this.lines.lengthOf(0) === 0;
  }

  write(stream: Stream, chunk: string): void {
    const text = this.rest[stream] + chunk;
    this.rest[stream] = '';
    let style = this.palette.number(this.styles[stream]);
    let at = 0;
    while (at < text.length) {
      CONTROL.lastIndex = at;
      const found = CONTROL.exec(text);
      const until = found ? found.index : text.length;
      if (until > at) this.put(text.slice(at, until), style);
      if (!found) break;
      at = until + 1;
      if (found[0] !== '\x1b') {
        this.control(found[0]);
        continue;
      }
      ESCAPE.lastIndex = until;
      const escape = ESCAPE.exec(text);
      if (!escape) {
        if (text.length - until < LONGEST_ESCAPE && unfinished(text.slice(until))) {
          this.rest[stream] = text.slice(until);
          break;
        }
        continue;
      }
      at = ESCAPE.lastIndex;
      const [, mark, parameters, final] = escape;
      if (final !== undefined && !mark) {
        this.command(final, (parameters ?? '').split(/[;:]/).filter(Boolean).map(Number), stream);
        style = this.palette.number(this.styles[stream]);
      }
    }
    this.bound();
  }

  private put(text: string, style: number): void {
    let rest = text;
    while (this.column + rest.length > LONGEST_LINE) {
      const fits = Math.max(0, LONGEST_LINE - this.column);
      if (fits > 0) this.lines.write(this.line, this.column, rest.slice(0, fits), style);
      rest = rest.slice(fits);
      this.down(true);
      this.column = 0;
    }
    if (rest === '') return;
    this.lines.write(this.line, this.column, rest, style);
    this.column += rest.length;
  }

  private control(character: string): void {
    if (character === '\n') {
      this.down();
      this.column = 0;
    } else if (character === '\r') this.column = 0;
    else if (character === '\b') this.column = Math.max(0, this.column - 1);
    else if (character === '\t') this.put('\t', 0);
  }

  private down(soft = false): void {
    this.line += 1;
    if (this.line >= this.lines.length) this.lines.push(soft);
  }

  private command(final: string, parameters: number[], stream: Stream): void {
    const count = Math.max(1, parameters[0] ?? 1);
    switch (final) {
      case 'm':
        this.styles[stream] = select(this.styles[stream], parameters);
        break;
      case 'A':
        this.line = Math.max(this.top, this.line - count);
        break;
      case 'B':
        this.line = Math.min(this.lines.length - 1, this.line + count);
        break;
      case 'E':
      case 'F':
        this.command(final === 'E' ? 'B' : 'A', parameters, stream);
        this.column = 0;
        break;
      case 'C':
        this.column = Math.min(MOST_COLUMNS, this.column + count);
        break;
      case 'D':
        this.column = Math.max(0, this.column - count);
        break;
      case 'G':
        this.column = Math.min(MOST_COLUMNS, count - 1);
        break;
      case 'H':
      case 'f':
        this.line = Math.min(this.lines.length - 1, this.top + count - 1);
        this.column = Math.min(MOST_COLUMNS, Math.max(1, parameters[1] ?? 1) - 1);
        break;
      case 'K':
        this.eraseInLine(parameters[0] ?? 0);
        break;
      case 'J':
        this.eraseBelow(parameters[0] ?? 0);
        break;
      default:
    }
  }

  private eraseInLine(what: number): void {
    if (what === 0) this.lines.truncate(this.line, this.column);
    else if (what === 2) this.lines.truncate(this.line, 0);
    else if (what === 1) this.lines.write(this.line, 0, ' '.repeat(Math.min(this.column + 1, this.lines.lengthOf(this.line))), 0);
  }

  private eraseBelow(what: number): void {
    // What is cleared away scrolls out of reach and can still be read, as in a terminal with scroll-back.
    if (what >= 2) {
      this.line = this.lines.length - 1;
      if (this.lines.lengthOf(this.line) > 0) this.down();
      this.top = this.line;
      this.column = 0;
      return;
    }
    if (what !== 0) return;
    this.lines.truncate(this.line, this.column);
    for (let below = this.line + 1; below < this.lines.length; below += 1) this.lines.truncate(below, 0);
  }

  /** Forgets the oldest tenth when there is too much. */
  private bound(): void {
    while (this.lines.length > 1 && (this.lines.length > MOST_LINES || this.lines.size > MOST_CHARACTERS)) {
      const count = Math.min(this.lines.length - 1, Math.ceil(this.lines.length / 10));
      this.lines.drop(count);
      this.line = Math.max(0, this.line - count);
      this.top = Math.max(0, this.top - count);
    }
  }
}

function unfinished(text: string): boolean {
  return /^\x1b(?:\[[<-?]?[0-9;:]*[ -/]*|\][^\x07\x1b]*\x1b?|[PX^_][^\x1b]*\x1b?|[ -/]*)$/.test(text);
}
