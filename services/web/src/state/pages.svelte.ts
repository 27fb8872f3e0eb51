/** A list that comes a page at a time. */
import { sayProblem } from '../api/problem';

export type Page<T> = { data: T[]; next_cursor?: string | null };

export class Pages<T extends { id: string }> {
  rows = $state.raw<T[] | null>(null);
  fault = $state('');
  busy = $state(false);
  private cursor = $state<string | null>(null);
  private asked = 0;

  constructor(private readonly fetch: (cursor: string | null) => Promise<Page<T>>) {}

  get more(): boolean {
    return this.cursor !== null;
  }

  /** From the newest; what is shown stays until the answer is there. */
  async reload(): Promise<void> {
    await this.take(null, (page) => page.data);
  }

  async next(): Promise<void> {
    await this.take(this.cursor, (page) => [...(this.rows ?? []), ...page.data]);
  }

  /** The first page again, in place: what is new comes on top, what is known is renewed, nothing shown goes away. */
  async renew(): Promise<void> {
    const turn = ++this.asked;
    try {
      const page = await this.fetch(null);
      if (turn !== this.asked) return;
      const fresh = new Set(page.data.map((row) => row.id));
      const oldest = page.data.at(-1)?.id;
      const older = oldest === undefined ? [] : (this.rows ?? []).filter((row) => !fresh.has(row.id) && row.id < oldest);
      this.rows = [...page.data, ...older];
      if (older.length === 0) this.cursor = page.next_cursor ?? null;
      this.fault = '';
    } catch (error) {
      this.fault = sayProblem(error);
    }
  }

  drop(id: string): void {
    this.rows = this.rows?.filter((row) => row.id !== id) ?? null;
  }

  private async take(cursor: string | null, rows: (page: Page<T>) => T[]): Promise<void> {
    const turn = ++this.asked;
    this.busy = true;
    try {
      const page = await this.fetch(cursor);
      if (turn !== this.asked) return; // a later question has been asked since
      this.rows = rows(page);
      this.cursor = page.next_cursor ?? null;
      this.fault = '';
    } catch (error) {
      if (turn === this.asked) this.fault = sayProblem(error);
    } finally {
      if (turn === this.asked) this.busy = false;
    }
  }
}
