/** A notebook that is open: its document, its saving, its session, and what a person does with them. */
import type { CodeEditor } from '../editor/codemirror';
import { api, ask, authorized } from '../api/client';
import { ApiProblem, sayProblem } from '../api/problem';
import type { PatchNotebook } from '../api/schema';
import { namings } from '../parts/naming.svelte';
import { sizesWithin } from '../sessions/sizes';
import { offer } from '../state/offer.svelte';
import { toasts } from '../state/toasts.svelte';
import type { Cell } from './cell.svelte';
import { Document } from './document.svelte';
import { type CellContent, type CellKind, isJson, newId } from './format';
import { Kernel } from './kernel.svelte';
import { Runner } from './runner.svelte';
import { Saving } from './saving.svelte';
import { notebookAddress, readNotebook, storeOf, type Told } from './store';

/** What was cut or copied last, in any notebook of this page. */
let clipboard: CellContent[] = [];
const MOST_IMAGE_BYTES = 5 * 1024 * 1024;
const DRAGGED = 'application/x-kiln-cell';

type Held = { element: HTMLElement; control: () => CodeEditor | undefined };

export class Notebook {
  name = $state('');
  runtime = $state('python');
  workspace = $state<string | null>(null);
  /** Run by the server as a whole. */
  runState = $state<string | null>(null);
  readonly kernel: Kernel;
  readonly runner: Runner;
  readonly saving: Saving;
  private readonly held = new Map<string, Held>();
  private readonly tabs: BroadcastChannel;

  static async open(id: string): Promise<Notebook> {
    const read = await readNotebook(id, null);
    if (!read) throw new Error('The server did not tell the notebook.');
    const notebook = new Notebook(id, read.told, read.etag);
    await notebook.begin(read.told.updated_at);
    return notebook;
  }

  readonly document: Document;

  private constructor(readonly id: string, told: Told, etag: string) {
    this.document = new Document(told.content);
    this.hear(told);
    this.saving = new Saving(storeOf(id, (now) => this.hear(now)), this.document, etag);
    this.kernel = new Kernel(id, () => ({ runtime: this.runtime, workspace_id: this.workspace, limits: this.limits }));
    this.runner = new Runner(id, this.document, this.kernel, (error) => toasts.fail(error));
    this.tabs = new BroadcastChannel(`kiln.notebook.${id}`);
    this.tabs.onmessage = () => void this.saving.pull();
  }

  close(): void {
    if (!this.saving.clean) void this.saving.flush();
    this.saving.close();
    this.runner.close();
    this.tabs.close();
  }

  /** Tells the other tabs that there is something new. */
  saved(): void {
    this.tabs.postMessage('saved');
  }

  /** What the page looks at now and then, to be as the server is. */
  async look(): Promise<void> {
    await Promise.all([this.saving.pull(), this.kernel.look().catch(() => undefined)]);
    if (this.byServer) await this.followRun().catch(() => undefined);
    else await this.runner.discover().catch(() => undefined);
  }

  get byServer(): boolean {
    return this.runState === 'starting' || this.runState === 'running';
  }

  hold(id: string, held: Held): () => void {
    this.held.set(id, held);
    return () => this.held.delete(id);
  }

  control(id: string): CodeEditor | undefined {
    return this.held.get(id)?.control();
  }

  /** Brings the chosen cell into view, with the focus on it unless one writes. */
  show(focus = true): void {
    const look = () => {
      const element = this.held.get(this.document.at)?.element;
      element?.scrollIntoView({ block: 'nearest' });
      if (focus && this.document.mode === 'command') element?.focus({ preventScroll: true });
    };
    // The next key is a command, even when the chosen cell is only now being put into the page.
    if (focus && window.document.activeElement instanceof HTMLElement) window.document.activeElement.blur();
    look();
    requestAnimationFrame(look);
  }

  command(): void {
    this.document.mode = 'command';
    this.show();
  }

  edit(): void {
    const cell = this.document.current;
    if (!cell) return;
    if (cell.kind === 'markdown') cell.open = true;
    this.document.mode = 'edit';
    this.show(false);
  }

  /** Out of the text by an arrow at its edge. */
  leave(by: -1 | 1): boolean {
    const next = this.document.cells[this.document.index + by];
    if (!next) return false;
    this.document.choose(next.id);
    if (next.kind === 'markdown' && !next.open) this.command();
    else {
      this.show(false);
      queueMicrotask(() => this.control(next.id)?.select(by > 0 ? 0 : next.source.length));
    }
    return true;
  }

  runFrom(cell: Cell, then: 'stay' | 'next' | 'insert'): void {
    const cells = then !== 'insert' && this.document.chosen.includes(cell) ? this.document.chosen : [cell];
    this.document.choose(cells.at(-1)?.id ?? cell.id);
    this.runner.run(cells);
    const place = this.document.index + 1;
    if (then === 'insert') {
      this.document.add('code', place);
      this.edit();
    } else if (then === 'next') {
      if (place < this.document.cells.length) {
        this.document.step(1);
        this.command();
      } else {
        this.document.add('code', place);
        this.edit();
      }
    } else this.command();
  }

  add(kind: CellKind, where: 'above' | 'below'): void {
    this.document.add(kind, Math.max(0, this.document.index + (where === 'below' ? 1 : 0)));
    if (kind === 'markdown') this.edit();
    else this.command();
  }

  addAt(kind: CellKind, place: number): void {
    this.document.add(kind, place);
    this.edit();
  }

  remove(): void {
    const count = this.document.chosen.length;
    this.document.remove(this.document.chosen);
    this.command();
    toasts.say(count === 1 ? 'Cell deleted; Z brings it back.' : `${count} cells deleted; Z brings them back.`);
  }

  copy(): void {
    clipboard = this.document.chosen.map((cell) => structuredClone(cell.content()));
  }

  cut(): void {
    this.copy();
    this.document.remove(this.document.chosen);
    this.command();
  }

  paste(where: 'above' | 'below'): void {
    if (clipboard.length === 0) return;
    this.document.insert(this.document.index + (where === 'below' ? 1 : 0), clipboard.map((content) => ({ ...structuredClone(content), id: newId() })));
    this.command();
  }

  duplicate(): void {
    this.copy();
    this.paste('below');
  }

  async stop(): Promise<void> {
    await this.runner.stop().catch((error: unknown) => toasts.fail(error));
  }

  async restart(): Promise<void> {
    this.runner.forget();
    try {
      await this.kernel.restart();
      toasts.say('The interpreter begins anew.');
    } catch (error) {
      toasts.fail(error);
    }
  }

  /** Runs cells on the server, in the notebook's session; it goes on when this page is closed. */
  async runOnServer(part: { from?: string; to?: string } = {}): Promise<void> {
    try {
      await this.saving.flush();
      if (!this.saving.clean) throw new Error(this.saving.fault || 'What you wrote could not be saved, so it cannot be run yet.');
      const { id: session_id } = await this.kernel.ready();
      await ask(api.POST('/api/v1/notebooks/{id}/run', { params: { path: { id: this.id } }, body: { session_id, ...part } }));
      this.runState = 'running';
      for (const cell of this.document.cells) if (cell.kind === 'markdown') cell.open = false;
      await this.followRun();
    } catch (error) {
      toasts.fail(error);
    }
  }

  async restartAndRunAll(): Promise<void> {
    await this.restart();
    await this.runOnServer();
  }

  /** As it was in that version; what is there now becomes a version. */
  async restore(number: number): Promise<void> {
    const response = await authorized(new Request(`${notebookAddress(this.id)}/versions/${number}/restore`, { method: 'POST', headers: { 'if-match': this.saving.tag } }));
    if (!response.ok) throw await ApiProblem.of(response);
    await this.saving.pull();
  }

  async complete(code: string, cursor: number): Promise<{ matches: string[]; from: number } | null> {
    const found = await this.kernel.complete(code, toCharacters(code, cursor)).catch(() => null);
    return found && found.matches.length > 0 ? { matches: found.matches, from: toUnits(code, found.cursor_start) } : null;
  }

  inspect(code: string, cursor: number): Promise<string | null> {
    return this.kernel.inspect(code, toCharacters(code, cursor)).catch(() => null);
  }

  /** Puts images into the text, as attachments of the cell. */
  async attach(cell: Cell, files: readonly File[]): Promise<void> {
    for (const file of files) {
      if (file.size > MOST_IMAGE_BYTES) {
        toasts.say(`${file.name} is larger than 5 MiB; put it among the files instead.`, true);
        continue;
      }
      const name = this.freeName(cell, file.name || 'image.png');
      this.document.attach(cell, name, file.type, encode(new Uint8Array(await file.arrayBuffer())));
      const text = `![${name.replaceAll(/[[\]]/g, '')}](attachment:${encodeURIComponent(name)})`;
      const control = this.control(cell.id);
      if (control) control.insert(text);
      else this.document.write(cell, cell.source ? `${cell.source}\n${text}` : text);
    }
  }

  async addImage(files: readonly File[]): Promise<void> {
    const cell = this.document.add('markdown', this.document.index + 1);
    cell.open = false;
    await this.attach(cell, files);
    this.command();
  }

  drag(event: DragEvent, cell: Cell): void {
    if (!this.document.chosen.includes(cell)) this.document.choose(cell.id);
    event.dataTransfer?.setData(DRAGGED, cell.id);
    const element = this.held.get(cell.id)?.element;
    if (element) event.dataTransfer?.setDragImage(element, 20, 20);
  }

  isDragged(event: DragEvent): boolean {
    return event.dataTransfer?.types.includes(DRAGGED) ?? false;
  }

  rename(): void {
    namings.ask({
      title: 'Rename the notebook', label: 'Name', value: this.name, action: 'Rename',
      send: async (name) => {
        await this.patch({ name });
        this.name = name;
      },
    });
  }

  async use(patch: { runtime?: string; workspace_id?: string | null }): Promise<void> {
    try {
      await this.patch(patch);
      if (patch.runtime !== undefined) this.runtime = patch.runtime;
      if (patch.workspace_id !== undefined) this.workspace = patch.workspace_id;
      if (this.kernel.live) {
        await this.kernel.shutDown();
        toasts.say('The session was closed; the next cell begins a new one.');
      }
    } catch (error) {
      toasts.fail(error);
    }
  }

  get size(): string {
    const own = this.document.metadata['kiln'];
    return isJson(own) && typeof own['size'] === 'string' ? own['size'] : 'small';
  }

  async resize(size: string): Promise<void> {
    const own = this.document.metadata['kiln'];
    this.document.metadata = { ...this.document.metadata, kiln: { ...(isJson(own) ? own : {}), size } };
    this.document.touch();
    if (this.kernel.live) {
      await this.kernel.shutDown().catch((error: unknown) => toasts.fail(error));
      toasts.say('The session was closed; the next cell begins one of that size.');
    }
  }

  private get limits() {
    return sizesWithin(offer.limits).find(({ id }) => id === this.size)?.limits ?? {};
  }

  private async begin(savedAt: string): Promise<void> {
    await Promise.all([
      this.kernel.look().catch(() => undefined), // without it the first cell looks again
      this.runner.recover(savedAt, this.byServer).catch((error: unknown) => toasts.say(`What ran lately is not known: ${sayProblem(error)}`, true)),
    ]);
    if (this.byServer) await this.followRun().catch(() => undefined);
  }

  /** The server's run: what runs of it is followed, what is to run waits; the server writes the results into the notebook. */
  private async followRun(): Promise<void> {
    const run = await ask(api.GET('/api/v1/notebooks/{id}/run', { params: { path: { id: this.id } } }));
    const ended = run.state === 'ended';
    this.runState = run.state;
    if (run.session_id && !ended && this.kernel.session?.id !== run.session_id) await this.kernel.adopt(run.session_id).catch(() => undefined); // the next look finds it
    const open = run.cells.filter(({ status }) => !ended && (status === null || status === undefined));
    for (const cell of this.document.cells) cell.waiting = open.slice(1).some(({ cell_id }) => cell_id === cell.id);
    if (ended) await this.saving.pull();
    const [first] = open;
    const cell = first && this.document.find(first.cell_id);
    // One at a time: a browser has few connections, and cells run one after the other.
    if (!first || !cell || cell.run?.id === first.execution_id) return;
    const execution = await ask(api.GET('/api/v1/executions/{id}', { params: { path: { id: first.execution_id } } }));
    if (execution.finished_at) return;
    this.runner.follow(cell, execution, true);
    void cell.run?.finished.then(async () => {
      await this.saving.pull();
      await this.followRun();
    }).catch(() => undefined); // the next look goes on with it
  }

  private async patch(body: PatchNotebook): Promise<void> {
    await ask(api.PATCH('/api/v1/notebooks/{id}', { params: { path: { id: this.id } }, body }));
    await this.saving.pull();
  }

  private hear(told: Told): void {
    [this.name, this.runtime, this.workspace, this.runState] = [told.name, told.runtime, told.workspace_id, told.run_state];
  }

  private freeName(cell: Cell, wanted: string): string {
    const taken = new Set(Object.keys(cell.attachments ?? {}));
    for (let turn = 2, name = wanted; ; turn += 1) {
      if (!taken.has(name)) return name;
      name = wanted.replace(/(\.[^.]*)?$/, `-${turn}$1`);
    }
  }
}

/** JavaScript counts in UTF-16 units, the API in characters. */
function toCharacters(text: string, units: number): number {
  return [...text.slice(0, units)].length;
}

function toUnits(text: string, characters: number): number {
  return [...text].slice(0, characters).join('').length;
}

function encode(bytes: Uint8Array): string {
  let text = '';
  const PIECE = 32_768; // arguments that a call can have
  for (let at = 0; at < bytes.length; at += PIECE) text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return btoa(text);
}
