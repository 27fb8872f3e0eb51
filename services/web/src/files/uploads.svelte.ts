/** Files on their way to a workspace: a few at a time, each with its progress, each to be stopped. */
import { accessToken, refused } from '../api/access';
import { ApiProblem, sayProblem } from '../api/problem';
import type { Problem } from '../api/schema';
import type { Gathered } from './gather';
import { fileAddress } from './workspace';

const AT_ONCE = 3;

export type State = 'waiting' | 'sending' | 'done' | 'failed' | 'stopped';

export class Upload {
  sent = $state(0);
  state = $state<State>('waiting');
  fault = $state('');
  private request: XMLHttpRequest | null = null;

  constructor(readonly workspace: string, readonly path: string, readonly file: File) {}

  get over(): boolean {
    return this.state === 'done' || this.state === 'failed' || this.state === 'stopped';
  }

  async send(): Promise<void> {
    this.state = 'sending';
    try {
      for (let attempt = 0; ; attempt += 1) {
        const token = await accessToken();
        if (this.stopped()) return;
        const answer = await this.put(token);
        if (answer.status === 401 && attempt === 0) {
          refused(token);
          continue;
        }
        if (answer.status >= 300) throw problemOf(answer);
        this.sent = this.file.size;
        this.state = 'done';
        return;
      }
    } catch (error) {
      if (this.stopped()) return;
      this.state = 'failed';
      this.fault = sayProblem(error);
    }
  }

  stop(): void {
    if (this.over) return;
    this.state = 'stopped';
    this.request?.abort();
  }

  /** `fetch` tells nothing of how far it got, so this is the older way. */
  private put(token: string | null): Promise<XMLHttpRequest> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.request = request;
      request.upload.onprogress = (event) => (this.sent = Math.min(this.file.size, event.loaded));
      request.onload = () => resolve(request);
      request.onerror = () => reject(ApiProblem.unreachable());
      request.onabort = () => reject(new DOMException('stopped', 'AbortError'));
      request.open('PUT', fileAddress(this.workspace, this.path));
      request.setRequestHeader('content-type', 'application/octet-stream');
      if (token) request.setRequestHeader('authorization', `Bearer ${token}`);
      request.send(this.file);
    });
  }

  private stopped(): boolean {
    return this.state === 'stopped';
  }
}

function problemOf(answer: XMLHttpRequest): ApiProblem {
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(answer.responseText) as Partial<Problem>;
  } catch {
    // Something between here and Kiln answered in its own words; its number says enough.
  }
  return new ApiProblem(answer.status, problem.code ?? 'unknown', problem.detail || `The server answered ${answer.status}.`, problem.errors ?? []);
}

class Uploads {
  list = $state.raw<Upload[]>([]);
  private arrived: (upload: Upload) => void = () => undefined;

  /** Calls back for each that has arrived, until another listens. */
  whenArrived(listener: (upload: Upload) => void): () => void {
    this.arrived = listener;
    return () => (this.arrived = () => undefined);
  }

  get live(): boolean {
    return this.list.some((upload) => !upload.over);
  }

  add(workspace: string, files: readonly Gathered[]): void {
    this.list = [...this.list.filter((upload) => !upload.over), ...files.map(({ path, file }) => new Upload(workspace, path, file))];
    this.next();
  }

  again(upload: Upload): void {
    this.list = this.list.map((one) => (one === upload ? new Upload(upload.workspace, upload.path, upload.file) : one));
    this.next();
  }

  stopAll(): void {
    for (const upload of this.list) upload.stop();
  }

  clear(): void {
    this.list = this.list.filter((upload) => !upload.over);
  }

  private next(): void {
    const busy = this.list.filter((upload) => upload.state === 'sending').length;
    for (const upload of this.list.filter((one) => one.state === 'waiting').slice(0, Math.max(0, AT_ONCE - busy))) {
      void upload.send().then(() => {
        if (upload.state === 'done') this.arrived(upload);
        this.next();
      });
    }
  }
}

export const uploads = new Uploads();
