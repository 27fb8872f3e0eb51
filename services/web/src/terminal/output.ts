/** Everything that one run printed and displayed, in order: stretches of text with displays between. */
import { type Display, isObject, joined, readDisplay } from './display';
import { Screen, type Stream } from './screen';
import { Palette } from './style';

export type Block = { kind: 'text'; screen: Screen } | { kind: 'display'; display: Display; /** By which the program changes it later. */ id: string | null };

export class Output {
  readonly palette = new Palette();
  readonly blocks: Block[] = [];
  /** The program asked for a clean page at its next output. */
  private stale = false;

  write(stream: Stream, text: string): void {
    this.begin();
    this.screen().write(stream, text);
  }

  /** Takes an nbformat output, or one of the two messages that change what was shown before. */
  show(output: unknown): void {
    if (!isObject(output)) return;
    switch (output['output_type']) {
      case 'stream':
        return this.write(output['name'] === 'stderr' ? 'stderr' : 'stdout', joined(output['text']) ?? '');
      case 'error':
        return this.write('stderr', `${errorText(output)}\n`);
      case 'clear_output':
        if (output['wait'] === true) this.stale = true;
        else this.clear();
        return;
      case 'update_display_data':
        return this.change(output);
      default: {
        const display = readDisplay(output);
        if (!display) return;
        this.begin();
        this.blocks.push({ kind: 'display', display, id: displayId(output) });
      }
    }
  }

  clear(): void {
    this.blocks.length = 0;
    this.stale = false;
  }

  get empty(): boolean {
    return this.blocks.every((block) => block.kind === 'text' && block.screen.empty);
  }

  /** Lines that were printed and are no longer kept here. */
  get dropped(): number {
    return this.blocks.reduce((sum, block) => sum + (block.kind === 'text' ? block.screen.lines.dropped : 0), 0);
  }

  /** The text, for the clipboard. */
  plain(): string {
    const texts = this.blocks.map((block) => (block.kind === 'text' ? block.screen.lines.plain() : block.display.text));
    return texts.join('');
  }

  private begin(): void {
    if (this.stale) this.clear();
  }

  private change(output: Record<string, unknown>): void {
    const id = displayId(output);
    const display = readDisplay(output);
    if (id === null || !display) return;
    this.blocks.forEach((block, at) => {
      if (block.kind === 'display' && block.id === id) this.blocks[at] = { kind: 'display', display, id };
    });
  }

  private screen(): Screen {
    const last = this.blocks.at(-1);
    if (last?.kind === 'text') return last.screen;
    const screen = new Screen(this.palette);
    this.blocks.push({ kind: 'text', screen });
    return screen;
  }
}

function errorText(output: Record<string, unknown>): string {
  const traceback = output['traceback'];
  if (Array.isArray(traceback) && traceback.length > 0) return traceback.map(String).join('\n');
  return `${String(output['ename'] ?? 'Error')}: ${String(output['evalue'] ?? '')}`;
}

function displayId(output: Record<string, unknown>): string | null {
  const transient = output['transient'];
  const id = isObject(transient) ? transient['display_id'] : null;
  return typeof id === 'string' ? id : null;
}
