/** Does something again and again while the page is looked at. */
export function every(ms: number, work: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout>;
  let gone = false;
  const turn = async () => {
    if (!document.hidden) await work();
    if (!gone) timer = setTimeout(() => void turn(), ms);
  };
  timer = setTimeout(() => void turn(), ms);
  return () => {
    gone = true;
    clearTimeout(timer);
  };
}
