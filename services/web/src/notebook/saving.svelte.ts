/**
 * Keeps a document and the server's in step: what is written here is saved soon after, what was written elsewhere is
 * merged in, and only the same text written in both places is asked about.
 */
import { ApiProblem, sayProblem } from '../api/problem';
import { type Content, normal, same } from './format';
import { type Conflict, merge } from './merge';

export type Stored = { content: unknown; etag: string };
export interface Store {
  /** As it is there now; null when it is still what the tag names. */
  read(known: string | null): Promise<Stored | null>;
  /** Throws a 412 when it is no longer what the tag names. */
  write(content: Content, etag: string): Promise<Stored>;
}
/** What is edited, as far as saving is concerned. */
export interface Edited {
  content(): Content;
  take(content: Content): void;
}

export type Standing = 'saved' | 'changed' | 'saving' | 'unreached' | 'refused' | 'conflict';

/** After the last change, and at the most after the first. */
const QUIET_MS = 800;
const LONGEST_MS = 4_000;
const AGAIN_MS = 3_000;
/** Merged and refused so often in a row, somebody else is writing all the time; a moment later it will do. */
const MOST_MERGES = 5;

export class Saving {
  standing = $state<Standing>('saved');
  fault = $state('');
  conflicts = $state.raw<Conflict[]>([]);
  savedAt = $state<number | null>(null);
  private base: Content;
  private theirs: Content | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private firstChange: number | null = null;
  private work: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(private readonly store: Store, private readonly edited: Edited, private etag: string) {
    this.base = snapshot(edited.content());
  }

  /** The server's present tag, as far as it is known here. */
  get tag(): string {
    return this.etag;
  }

  get clean(): boolean {
    return this.standing === 'saved';
  }

  /** Something was written here. */
  changed(): void {
    if (this.closed) return;
    if (this.standing === 'saved') this.standing = 'changed';
    this.firstChange ??= Date.now();
    this.later(Math.max(0, Math.min(QUIET_MS, this.firstChange + LONGEST_MS - Date.now())));
  }

  /** Saves now; resolves when the server has it, or it is clear that it cannot. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    return this.next(() => this.save());
  }

  /** Looks whether the server has something else, and merges it in. */
  pull(): Promise<void> {
    return this.next(async () => {
      if (this.standing === 'conflict') return;
      try {
        const stored = await this.store.read(this.etag);
        if (stored) this.mergeIn(stored);
      } catch (error) {
        if (error instanceof ApiProblem && !error.unreached) this.refuse(error);
      }
    });
  }

  /** Answers the question: by cell, whose text stands; `both` keeps both, theirs in a cell below. */
  async settle(answers: ReadonlyMap<string, 'mine' | 'theirs' | 'both'>): Promise<void> {
    const theirs = this.theirs;
    if (!theirs) return;
    const { content } = merge(this.base, this.edited.content(), theirs);
    const cells = content.cells.flatMap((cell) => {
      const conflict = this.conflicts.find(({ id }) => id === cell.id);
      switch (conflict ? answers.get(cell.id) : undefined) {
        case 'theirs':
          return [{ ...cell, source: conflict?.theirs ?? cell.source }];
        case 'both':
          return [cell, { ...cell, id: `${cell.id.slice(0, 50)}-theirs`, source: conflict?.theirs ?? '' }];
        case 'mine':
        case undefined:
          return [cell];
      }
    });
    this.edited.take({ ...content, cells });
    this.base = theirs;
    [this.theirs, this.conflicts, this.standing] = [null, [], 'changed'];
    await this.flush();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private later(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.flush(), ms);
  }

  /** One thing at a time, in order. */
  private next(work: () => Promise<void>): Promise<void> {
    this.work = this.work.then(work);
    return this.work;
  }

  private async save(): Promise<void> {
    if (this.standing === 'conflict') return;
    for (let merges = 0; ; merges += 1) {
      const content = snapshot(this.edited.content());
      this.firstChange = null;
      if (same(content, this.base)) {
        this.standing = 'saved';
        return;
      }
      this.standing = 'saving';
      try {
        const stored = await this.store.write(content, this.etag);
        [this.base, this.etag, this.savedAt, this.fault] = [content, stored.etag, Date.now(), ''];
      } catch (error) {
        if (!(error instanceof ApiProblem)) throw error;
        if (error.unreached || error.status >= 500 || error.status === 429 || merges >= MOST_MERGES) {
          [this.standing, this.fault] = ['unreached', sayProblem(error)];
          if (!this.closed) this.later(AGAIN_MS);
          return;
        }
        if (error.status !== 412) return this.refuse(error);
        const stored = await this.store.read(null).catch(() => null);
        if (stored) this.mergeIn(stored);
        if (this.isAsked()) return;
      }
    }
  }

  private isAsked(): boolean {
    return this.standing === 'conflict';
  }

  private mergeIn(stored: Stored): void {
    const theirs = normal(stored.content);
    const mine = snapshot(this.edited.content());
    const { content, conflicts } = merge(this.base, mine, theirs);
    this.etag = stored.etag;
    if (conflicts.length > 0) {
      [this.theirs, this.conflicts, this.standing] = [theirs, conflicts, 'conflict'];
      return;
    }
    this.base = theirs;
    if (!same(content, mine)) this.edited.take(content);
    if (!same(content, theirs)) this.changed();
  }

  private refuse(error: ApiProblem): void {
    [this.standing, this.fault] = ['refused', sayProblem(error)];
  }
}

/** As JSON carries it: what is undefined is not there. */
function snapshot(content: Content): Content {
  return { ...content, cells: content.cells.map((cell) => ({ ...cell })) };
}
