/** Markdown as HTML that is safe in the app's own origin: no script, no style, no form, no frame, no name of ours. */
import DOMPurify from 'dompurify';
import { Marked } from 'marked';

export type Attachments = Record<string, unknown>;

const IMAGES = /^image\/(png|jpeg|gif|webp|svg\+xml)$/;
const ALLOWED = {
  USE_PROFILES: { html: true },
  FORBID_TAGS: ['style', 'form', 'input', 'button', 'textarea', 'select', 'option', 'dialog', 'iframe', 'object', 'embed', 'link', 'meta', 'base', 'video', 'audio', 'source', 'picture', 'template', 'slot'],
  FORBID_ATTR: ['style', 'class', 'srcset', 'ping', 'popover', 'popovertarget', 'autofocus', 'tabindex', 'contenteditable', 'draggable'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  SANITIZE_NAMED_PROPS: true,
  // Web addresses, what is relative, and images that the cell carries with it.
  ALLOWED_URI_REGEXP: /^(?:(?:https?|mailto|attachment):|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i,
};

/** A field would be taken away; a sign says the same. */
const marked = new Marked({ gfm: true, renderer: { checkbox: ({ checked }) => (checked ? '☑ ' : '☐ ') } });

/** Rendered in this document; images of the cell itself and `data:` images are shown, others become links. */
export function renderMarkdown(source: string, attachments: Attachments | undefined): string {
  const fragment = DOMPurify.sanitize(marked.parse(source, { async: false }), { ...ALLOWED, RETURN_DOM_FRAGMENT: true });
  for (const image of fragment.querySelectorAll('img')) showImage(image, attachments);
  for (const link of fragment.querySelectorAll('a')) {
    if (!/^(https?|mailto):/i.test(link.getAttribute('href') ?? '')) link.removeAttribute('href');
    link.setAttribute('target', '_blank');
    link.setAttribute('rel', 'noopener noreferrer');
  }
  const holder = document.createElement('div');
  holder.append(fragment);
  return holder.innerHTML;
}

function showImage(image: HTMLImageElement, attachments: Attachments | undefined): void {
  const source = image.getAttribute('src') ?? '';
  if (/^data:image\/(png|jpeg|gif|webp|svg\+xml)[;,]/i.test(source)) return;
  const attached = source.startsWith('attachment:') ? attachmentAddress(attachments, decode(source.slice('attachment:'.length))) : null;
  if (attached) {
    image.src = attached;
    return;
  }
  // Nothing is fetched from elsewhere: whoever wrote this would learn who reads it.
  const link = document.createElement('a');
  link.textContent = image.alt || source;
  link.href = source;
  image.replaceWith(link);
}

export function attachmentAddress(attachments: Attachments | undefined, name: string): string | null {
  const bundle = attachments?.[name];
  if (typeof bundle !== 'object' || bundle === null) return null;
  for (const [media, encoded] of Object.entries(bundle)) {
    const text = Array.isArray(encoded) ? encoded.join('') : encoded;
    if (IMAGES.test(media) && typeof text === 'string' && /^[A-Za-z0-9+/=\s]+$/.test(text)) return `data:${media};base64,${text.replaceAll(/\s/g, '')}`;
  }
  return null;
}

function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
