/** One cell as the editor holds it. */
import type { Execution } from '../api/schema';
import { STATUS_NAMES } from '../parts/status';
import type { Run } from '../runs/run.svelte';
import { type CellContent, type CellKind, isJson, type Json, same } from './format';

export class Cell {
  readonly id: string;
  kind = $state<CellKind>('code');
  source = $state('');
  metadata = $state.raw<Json>({});
  outputs = $state.raw<readonly Json[]>([]);
  count = $state<number | null>(null);
  attachments = $state.raw<Json | undefined>();
  /** Under way, or ended here. */
  run = $state.raw<Run | null>(null);
  /** Its turn has not come. */
  waiting = $state(false);
  /** Markdown shown as text to write in. */
  open = $state(false);
  /** The editor's own state while the editor is not in the page: its history, its selection. */
  editor: unknown = null;
  private rest: Json = {};

  constructor(content: CellContent) {
    this.id = content.id;
    this.take(content);
    this.open = this.kind === 'markdown' && this.source === '';
  }

  /** Becomes that, but keeps what is equal as it is. */
  take(content: CellContent): void {
    const { id, cell_type, source, metadata, outputs, execution_count, attachments, ...rest } = content;
    void id;
    this.kind = cell_type;
    this.source = source;
    this.count = execution_count ?? null;
    this.rest = rest;
    if (!same(this.metadata, metadata)) this.metadata = metadata;
    if (!same(this.attachments, attachments)) this.attachments = attachments;
    if (!same(this.outputs, outputs ?? [])) this.outputs = outputs ?? [];
  }

  content(): CellContent {
    const common = { ...this.rest, id: this.id, cell_type: this.kind, source: this.source, metadata: this.metadata };
    if (this.kind === 'code') return { ...common, execution_count: this.count, outputs: [...this.outputs] };
    return this.attachments ? { ...common, attachments: this.attachments } : common;
  }

  get live(): boolean {
    return this.waiting || (this.run !== null && !this.run.ended && this.run.fault === null);
  }

  get outputsHidden(): boolean {
    const own = this.metadata['jupyter'];
    return this.metadata['collapsed'] === true || (isJson(own) && own['outputs_hidden'] === true);
  }

  hideOutputs(hidden: boolean): void {
    const { collapsed, jupyter, ...rest } = this.metadata;
    void collapsed;
    const { outputs_hidden, ...others } = isJson(jupyter) ? jupyter : {};
    void outputs_hidden;
    const own = hidden ? { ...others, outputs_hidden: true } : others;
    this.metadata = { ...rest, ...(hidden ? { collapsed: true } : {}), ...(Object.keys(own).length > 0 ? { jupyter: own } : {}) };
  }

  clearOutputs(): void {
    const { execution, ...rest } = this.metadata;
    void execution;
    [this.outputs, this.count, this.run, this.metadata] = [[], null, this.live ? this.run : null, rest];
  }

  /** When what it shows was finished, by the server's clock. */
  get finishedAt(): string | null {
    const times = this.metadata['execution'];
    const at = isJson(times) ? times['shell.execute_reply'] : null;
    return typeof at === 'string' ? at : null;
  }

  get lasted(): number | null {
    const times = this.metadata['execution'];
    const begun = isJson(times) ? times['iopub.execute_input'] : null;
    return typeof begun === 'string' && this.finishedAt ? Math.max(0, Date.parse(this.finishedAt) - Date.parse(begun)) : null;
  }

  /** Takes over what its execution left, with the times under the names that Jupyter gives them. */
  record(execution: Execution): void {
    this.outputs = [...((execution.outputs ?? []) as Json[]), ...cutOff(execution)];
    this.count = execution.execution_count ?? null;
    const [begun, ended] = [execution.started_at, execution.finished_at];
    const times = { ...(begun ? { 'iopub.execute_input': begun, 'iopub.status.busy': begun } : {}), ...(ended ? { 'iopub.status.idle': ended, 'shell.execute_reply': ended } : {}) };
    this.metadata = { ...this.metadata, execution: times };
  }
}

/** An end that the program itself did not tell: killed for time or memory, stopped, lost. */
function cutOff(execution: Execution): Json[] {
  const { reason, status } = execution;
  if (!reason || reason.code === 'exception' || reason.code === 'interrupted') return [];
  return [{ output_type: 'error', ename: STATUS_NAMES[status], evalue: reason.message, traceback: [`${STATUS_NAMES[status]}: ${reason.message}`] }];
}
