/** Tells when an element comes near the view, and when it is far again. */

/** In pixels beyond the edges of the view. */
const MARGIN = 800;
type Listener = (near: boolean) => void;

const listeners = new WeakMap<Element, Listener>();
const observer = typeof IntersectionObserver === 'undefined'
  ? null
  : new IntersectionObserver(
      (entries) => {
        for (const entry of entries) listeners.get(entry.target)?.(entry.isIntersecting);
      },
      { rootMargin: `${MARGIN}px 0px` },
    );

export function inView(element: Element, listener: Listener): { destroy: () => void } {
  listeners.set(element, listener);
  observer?.observe(element);
  return { destroy: () => observer?.unobserve(element) };
}
