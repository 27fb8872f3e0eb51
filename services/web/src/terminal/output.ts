/** Everything that one run printed and displayed, in order: stretches of text with displays between. */
import { type Display, readDisplay } from './display';
import { Screen, type Stream } from './screen';
import { Palette } from './style';

export type Block = { kind: 'text'; screen: Screen } | { kind: 'display'; display: Display };

export class Output {
  readonly palette = new Palette();
  readonly blocks: Block[] = [];

  write(stream: Stream, text: string): void {
    this.screen().write(stream, text);
  }

  show(output: unknown): void {
    const display = readDisplay(output);
    if (display) this.blocks.push({ kind: 'display', display });
  }

  clear(): void {
    this.blocks.length = 0;
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
    const texts = this.blocks.flatMap((block) => (block.kind === 'text' ? [block.screen.lines.plain()] : []));
    return texts.join('');
  }

  private screen(): Screen {
    const last = this.blocks.at(-1);
    if (last?.kind === 'text') return last.screen;
    const screen = new Screen(this.palette);
    this.blocks.push({ kind: 'text', screen });
    return screen;
  }
}
