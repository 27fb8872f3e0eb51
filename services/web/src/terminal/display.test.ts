import { describe, expect, test } from 'vitest';
import { readDisplay } from './display';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAYAAAA10dzkAAAA';

describe('displays', () => {
  test('an image with its size', () => {
    const display = readDisplay({ output_type: 'display_data', data: { 'image/png': `${PNG}\n`, 'text/plain': '<Figure>' } });
    expect(display).toEqual({ form: 'image', source: `data:image/png;base64,${PNG}`, width: 640, height: 480, text: '<Figure>' });
  });

  test('HTML and SVG are for the frame only, lists are joined', () => {
    expect(readDisplay({ data: { 'text/html': ['<b>', 'x</b>'], 'image/png': PNG } })).toMatchObject({ form: 'html', html: '<b>x</b>' });
    expect(readDisplay({ data: { 'image/svg+xml': '<svg/>' } })).toMatchObject({ form: 'html', html: '<svg/>' });
  });

  test.each([null, 7, 'x', [], {}, { data: null }, { data: [] }, { data: { 'image/png': 5 } }, { data: { 'image/png': 'no base64!' } }, { data: { 'text/plain': {} } }])(
    'what a program made up as %j is nothing',
    (output) => expect(readDisplay(output)).toBeNull(),
  );

  test('a size that is none is not believed', () => {
    expect(readDisplay({ data: { 'image/png': 'AAAA' } })).toMatchObject({ width: null, height: null });
  });
});
