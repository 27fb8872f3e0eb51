/** One run as a page shows it: its state, what it printed so far, and what can be done to it. */
import { api, ask } from '../api/client';
import { sayProblem } from '../api/problem';
import type { Execution, Status } from '../api/schema';
import { Output } from '../terminal/output';
import { follow, type Link, type Place, type RunEvent } from './events';
import { eventsOf } from './source';

/** A tab that nobody looks at gives its connection back after this; it misses nothing. */
const HIDDEN_MS = 20_000;

export class Run {
  status = $state<Status>('queued');
  waiting = $state(false);
  execution = $state.raw<Execution | null>(null);
  link = $state<Link>('connecting');
  /** Why it cannot be shown. */
  fault = $state<string | null>(null);
  stopping = $state(false);
  /** It had ended before it was opened here. */
  past = $state(false);
  /** When this page saw it start, until the server's own time is known. */
  startedHere = $state<number | null>(null);
  /** Grows with everything that is printed, at most once a frame. */
  version = $state(0);
  readonly output = new Output();
  private leave = new AbortController();
  private hidden: ReturnType<typeof setTimeout> | undefined;
  private readonly place: Place = { after: null };
  private frame = 0;
  private typing: Promise<void> = Promise.resolve();
  private finish: (execution: Execution | null) => void = () => undefined;
  /** The execution at its end; null when it cannot be followed to it. */
  readonly finished = new Promise<Execution | null>((resolve) => (this.finish = resolve));

  /** `known` is the execution as the server told it; when it has ended and is told whole, nothing more is asked. */
  constructor(readonly id: string, known?: Execution) {
    if (known) this.take(known);
    if (known && this.ended && known.outputs) {
      for (const output of known.outputs) this.output.show(output);
      this.past = true;
      this.link = 'done';
      this.finish(known);
      return;
    }
    document.addEventListener('visibilitychange', this.look);
    void this.open(known !== undefined);
  }

  get ended(): boolean {
    return isEnd(this.status);
  }

  /** Asks for the end; the stream says when it came. */
  async stop(): Promise<void> {
    this.stopping = true;
    try {
      await ask(api.POST('/api/v1/executions/{id}/cancel', { params: { path: { id: this.id } } }));
    } catch (error) {
      this.stopping = false;
      if (!this.ended) throw error;
    }
  }

  /** Types a line, or ends the input; in the order of the calls. */
  type(data: string, eof = false): Promise<void> {
    const send = async () => {
      await ask(api.POST('/api/v1/executions/{id}/stdin', { params: { path: { id: this.id } }, body: { data, eof } }));
      this.waiting = false;
      if (data) this.output.write('typed', data);
      this.draw();
    };
    const sent = this.typing.then(send);
    this.typing = sent.catch(() => undefined); // told to the caller; the next line is sent all the same
    return sent;
  }

  /** Lets go of the connection; the run goes on. */
  close(): void {
    this.leave.abort();
    clearTimeout(this.hidden);
    cancelAnimationFrame(this.frame);
    document.removeEventListener('visibilitychange', this.look);
    this.finish(null);
  }

  /** The end brings all details; before it, they are asked for. */
  private async open(known: boolean): Promise<void> {
    const path = { params: { path: { id: this.id } } };
    if (!known) {
      const why = await api.GET('/api/v1/executions/{id}/why', path).catch(() => null); // the stream tells of failures
      this.past = why?.data !== undefined && isEnd(why.data.state);
    }
    void this.follow();
    if (known || this.past) return;
    const { data } = await api.GET('/api/v1/executions/{id}', path).catch(() => ({ data: undefined }));
    if (data && !this.ended) this.take(data);
  }

  private async follow(): Promise<void> {
    const signal = this.leave.signal;
    try {
      await follow(eventsOf(this.id), { event: (event) => this.hear(event), restart: () => this.restart(), link: (link) => (this.link = link) }, signal, this.place);
    } catch (error) {
      this.fault = sayProblem(error);
      this.finish(null);
    }
  }

  private hear(event: RunEvent): void {
    switch (event.type) {
      case 'status':
        this.status = event.status;
        if (event.status === 'running') this.startedHere ??= Date.now();
        if (event.waiting_for_input !== undefined) this.waiting = event.waiting_for_input;
        return;
      case 'stdout':
      case 'stderr':
        this.output.write(event.type, event.text);
        break;
      case 'display':
        this.output.show(event.output);
        break;
      case 'end':
        this.take(event.execution);
        this.waiting = false;
        this.stopping = false;
        this.finish(event.execution);
    }
    this.draw();
  }

  private take(execution: Execution): void {
    // The text is in `output` already, and may be long.
    this.execution = { ...execution, stdout: null, stderr: null, outputs: null };
    this.status = execution.status;
  }

  private restart(): void {
    this.output.clear();
    this.draw();
  }

  private draw(): void {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.version += 1;
    });
  }

  private readonly look = (): void => {
    clearTimeout(this.hidden);
    if (document.hidden) this.hidden = setTimeout(() => this.leave.abort(), HIDDEN_MS);
    else if (this.leave.signal.aborted && !this.ended) {
      this.leave = new AbortController();
      void this.follow();
    }
  };
}

function isEnd(status: Status): boolean {
  return status !== 'queued' && status !== 'running';
}
