import { describe, expect, test } from 'vitest';
import { Output } from './output';

function after(...shown: unknown[]): Output {
  const output = new Output();
  for (const one of shown) output.show(one);
  return output;
}
const display = (text: string, id?: string) => ({ output_type: 'display_data', data: { 'text/plain': text }, ...(id ? { transient: { display_id: id } } : {}) });

describe('what a cell shows', () => {
  test('streams, displays and errors keep their order', () => {
    const output = after(
      { output_type: 'stream', name: 'stdout', text: ['a\n', 'b\n'] },
      display('figure'),
      { output_type: 'stream', name: 'stderr', text: 'c\n' },
      { output_type: 'error', ename: 'E', evalue: 'v', traceback: ['one', '\u001b[31mtwo\u001b[0m'] },
    );
    expect(output.blocks.map((block) => block.kind)).toEqual(['text', 'display', 'text']);
    expect(output.plain()).toBe('a\nb\nfigurec\none\ntwo\n');
  });

  test('an error without a traceback is still told', () => {
    expect(after({ output_type: 'error', ename: 'ValueError', evalue: 'no', traceback: [] }).plain()).toBe('ValueError: no\n');
  });

  test('a display is changed in its place', () => {
    const output = after(display('10 %', 'bar'), display('other'), { ...display('90 %', 'bar'), output_type: 'update_display_data' });
    expect(output.plain()).toBe('90 %other');
  });

  test('the page is cleared at once, or with the next output', () => {
    expect(after(display('old'), { output_type: 'clear_output', wait: false }).empty).toBe(true);
    const waits = after(display('old'), { output_type: 'clear_output', wait: true });
    expect(waits.plain()).toBe('old');
    waits.show(display('new'));
    expect(waits.plain()).toBe('new');
  });

  test('what is no output is passed over', () => {
    expect(after(null, 'x', { output_type: 'weather' }, { output_type: 'display_data', data: {} }).blocks).toEqual([]);
  });
});
