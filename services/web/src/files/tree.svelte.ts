/** A workspace's directories as a tree: a level is asked for when it is opened, and again when something in it changed. */
import { sayProblem } from '../api/problem';
import type { WorkspaceFile } from '../api/schema';
import { isWithin, parentOf } from './paths';
import { list } from './workspace';

/** Entries of one directory that are shown. */
const MOST = 2_000;

type Level = { entries: WorkspaceFile[]; more: boolean };
export type Row = { entry: WorkspaceFile; depth: number; open: boolean; waiting: boolean };

export class Tree {
  private levels = $state.raw<ReadonlyMap<string, Level>>(new Map());
  private opened = $state.raw<ReadonlySet<string>>(new Set(['']));
  fault = $state('');
  /** Directories of which not all is shown. */
  readonly cut = $derived([...this.levels].filter(([, level]) => level.more).map(([path]) => path));
  readonly rows: Row[] = $derived(this.below('', 0));

  constructor(readonly workspace: string) {}

  get ready(): boolean {
    return this.levels.has('');
  }

  find(path: string): WorkspaceFile | undefined {
    return this.levels.get(parentOf(path))?.entries.find((entry) => entry.path === path);
  }

  entries(directory: string): readonly WorkspaceFile[] {
    return this.levels.get(directory)?.entries ?? [];
  }

  async open(path: string): Promise<void> {
    this.opened = new Set([...this.opened, path]);
    if (!this.levels.has(path)) await this.load(path);
  }

  /** Opens all that is above the path, so that it can be seen. */
  async reveal(path: string): Promise<void> {
    const above: string[] = [];
    for (let at = path; at !== ''; ) above.unshift((at = parentOf(at)));
    for (const directory of above) await this.open(directory);
  }

  close(path: string): void {
    this.opened = new Set([...this.opened].filter((one) => one !== path));
  }

  /** Asks anew for everything that is open. */
  async reload(): Promise<void> {
    await Promise.all([...this.opened].map((path) => this.load(path)));
  }

  async load(path: string): Promise<void> {
    try {
      const level = await list(this.workspace, path, MOST);
      this.levels = new Map(this.levels).set(path, level);
      this.fault = '';
    } catch (error) {
      this.forget(path);
      if (path !== '' || !this.ready) this.fault = sayProblem(error);
    }
  }

  /** What was below the path is no longer there. */
  forget(path: string): void {
    if (path === '') return;
    this.levels = new Map([...this.levels].filter(([one]) => !isWithin(one, path)));
    this.opened = new Set([...this.opened].filter((one) => !isWithin(one, path)));
  }

  private below(directory: string, depth: number): Row[] {
    return (this.levels.get(directory)?.entries ?? []).flatMap((entry) => {
      const open = entry.kind === 'directory' && this.opened.has(entry.path);
      const row = { entry, depth, open, waiting: open && !this.levels.has(entry.path) };
      return [row, ...(open ? this.below(entry.path, depth + 1) : [])];
    });
  }
}
