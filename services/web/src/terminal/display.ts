/** An nbformat output, as the richest form that can be shown. Programs make these up: nothing in them is trusted. */

export type Display =
  | { form: 'image'; source: string; width: number | null; height: number | null; text: string }
  | { form: 'html'; html: string; text: string }
  | { form: 'markdown'; source: string; text: string }
  | { form: 'text'; text: string };

const IMAGES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

export function readDisplay(output: unknown): Display | null {
  if (!isObject(output) || !isObject(output['data'])) return null;
  const data = output['data'];
  const text = joined(data['text/plain']) ?? '';
  const html = joined(data['text/html']);
  if (html !== null) return { form: 'html', html, text };
  const svg = joined(data['image/svg+xml']);
  if (svg !== null) return { form: 'html', html: svg, text };
  for (const type of IMAGES) {
    const encoded = joined(data[type])?.replaceAll(/\s/g, '');
    if (encoded && /^[A-Za-z0-9+/]+=*$/.test(encoded)) {
      const [width, height] = type === 'image/png' ? pngSize(encoded) : [null, null];
      return { form: 'image', source: `data:${type};base64,${encoded}`, width, height, text };
    }
  }
  const markdown = joined(data['text/markdown']) ?? joined(data['text/latex']);
  if (markdown !== null) return { form: 'markdown', source: markdown, text: text || markdown };
  const script = joined(data['application/javascript']);
  if (script !== null) return { form: 'html', html: `<script>${script.replaceAll('</script', '<\\/script')}</script>`, text };
  if (text !== '') return { form: 'text', text };
  const json = data['application/json'];
  return json === undefined ? null : { form: 'text', text: JSON.stringify(json, null, 2) };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** nbformat writes long text as a list of its lines. */
export function joined(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((part) => typeof part === 'string')) return value.join('');
  return null;
}

/** Width and height in pixels from the image's first chunk, so that its place is kept before it is decoded. */
function pngSize(encoded: string): [number | null, number | null] {
  const head = atob(encoded.slice(0, 32));
  if (head.length < 24 || head.slice(12, 16) !== 'IHDR') return [null, null];
  const number = (at: number) => [0, 1, 2, 3].reduce((sum, byte) => sum * 256 + head.charCodeAt(at + byte), 0);
  const [width, height] = [number(16), number(20)];
  return width > 0 && height > 0 && width <= 20_000 && height <= 20_000 ? [width, height] : [null, null];
}
