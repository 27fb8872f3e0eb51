/** Runs cells: one after the other in the notebook's session, and finds again what was under way before a reload. */
import { api, ask } from '../api/client';
import type { Execution } from '../api/schema';
import { Run } from '../runs/run.svelte';
import type { Cell } from './cell.svelte';
import type { Document } from './document.svelte';
import type { Kernel } from './kernel.svelte';

/** Executions of the notebook that are looked through after a reload. */
const LOOKED_THROUGH = 100;

export class Runner {
  private queue: Cell[] = [];
  private busy = $state(false);
  private closed = false;

  constructor(
    private readonly notebook: string,
    private readonly document: Document,
    private readonly kernel: Kernel,
    private readonly failed: (error: unknown) => void,
  ) {}

  get live(): boolean {
    return this.busy || this.document.cells.some((cell) => cell.live);
  }

  /** Lines the cells up; those that show text are shown as it. */
  run(cells: readonly Cell[]): void {
    for (const cell of cells) {
      if (cell.kind === 'markdown') cell.open = false;
      if (cell.kind !== 'code' || cell.live || cell.source.trim() === '') continue;
      cell.waiting = true;
      this.queue.push(cell);
    }
    void this.pump();
  }

  /** Ends what runs, and forgets what was to run after it. */
  async stop(): Promise<void> {
    this.forget();
    for (const cell of this.document.cells) if (cell.run && !cell.run.ended) cell.run.stopping = true;
    await this.kernel.interrupt();
  }

  forget(): void {
    for (const cell of this.queue) cell.waiting = false;
    this.queue = [];
  }

  /** Follows an execution that was not begun here; `recorded` when the server writes its results into the notebook. */
  follow(cell: Cell, execution: Execution, recorded: boolean): void {
    if (cell.run?.id === execution.id) return;
    cell.run?.close();
    const run = new Run(execution.id, execution);
    cell.run = run;
    void run.finished.then((ended) => {
      if (ended && !recorded && !this.closed) this.record(cell, ended);
    });
  }

  /** What runs, unless the server runs the whole and tells it itself; and what ended while nobody was here and is not in the notebook yet. */
  async recover(savedAt: string, byServer: boolean): Promise<void> {
    const query = { label: [`notebook=${this.notebook}`], limit: LOOKED_THROUGH };
    const { data } = await ask(api.GET('/api/v1/executions', { params: { query } }));
    const seen = new Set<string>();
    for (const execution of data) {
      const id = execution.labels['cell'] ?? '';
      const cell = this.document.find(id);
      if (!cell || seen.has(id)) continue;
      seen.add(id); // only the newest of each cell counts
      if (execution.finished_at === null || execution.finished_at === undefined) {
        if (!byServer) this.follow(cell, execution, false);
      } else if (execution.finished_at > savedAt && execution.finished_at > (cell.finishedAt ?? '')) {
        this.record(cell, await ask(api.GET('/api/v1/executions/{id}', { params: { path: { id: execution.id } } })));
      }
    }
  }

  /** What another tab has begun: it is shown here, too. */
  async discover(): Promise<void> {
    if (this.live) return;
    const query = { label: [`notebook=${this.notebook}`], status: 'queued,running', limit: 1 };
    const { data } = await ask(api.GET('/api/v1/executions', { params: { query } }));
    for (const execution of data) {
      const cell = this.document.find(execution.labels['cell'] ?? '');
      if (cell && !cell.live) this.follow(cell, execution, false);
    }
  }

  close(): void {
    this.closed = true;
    this.queue = [];
    for (const cell of this.document.cells) cell.run?.close();
  }

  private record(cell: Cell, execution: Execution): void {
    cell.record(execution);
    this.document.touch();
  }

  private async pump(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      for (let cell = this.queue.shift(); cell; cell = this.queue.shift()) {
        const good = await this.one(cell);
        if (!good) this.forget();
      }
    } finally {
      this.busy = false;
    }
  }

  /** Runs it to its end; false when what comes after it should not run. */
  private async one(cell: Cell): Promise<boolean> {
    try {
      const execution = await this.kernel.execute(cell.source, { notebook: this.notebook, cell: cell.id });
      cell.waiting = false;
      cell.run?.close();
      const run = new Run(execution.id, execution);
      cell.run = run;
      const ended = await run.finished;
      if (!ended || this.closed) return false;
      this.record(cell, ended);
      void this.kernel.look().catch(() => undefined); // told by the next look
      const tags = cell.metadata['tags'];
      return ended.status === 'succeeded' || (Array.isArray(tags) && tags.includes('raises-exception'));
    } catch (error) {
      cell.waiting = false;
      this.failed(error);
      return false;
    }
  }
}
