/** What was dropped or picked, as files with their paths; directories are walked. */

export type Gathered = { path: string; file: File };

/** Files of one upload; beyond them something else than a browser is the better way. */
export const MOST_FILES = 5_000;

export function fromPicker(files: Iterable<File>): Gathered[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** Must be called while the event is being handled: its items are gone after it. */
export async function fromDrop(items: DataTransferItemList): Promise<Gathered[]> {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found: Gathered[] = [];
  for (const entry of entries) await walk(entry, '', found);
  return found;
}

async function walk(entry: FileSystemEntry, above: string, found: Gathered[]): Promise<void> {
  if (found.length >= MOST_FILES) return;
  const path = above + entry.name;
  if (entry.isFile) {
    found.push({ path, file: await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)) });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const inner of some) await walk(inner, `${path}/`, found);
  }
}
