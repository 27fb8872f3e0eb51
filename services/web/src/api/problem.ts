/** What went wrong, in words for the person who asked. */
import type { FieldError, Problem } from './schema';

export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly errors: FieldError[] = [],
    /** Seconds after which to try again, when the server said so. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
  }

  /** The server was not reached at all. */
  static unreachable(): ApiProblem {
    return new ApiProblem(0, 'unreachable', 'Kiln cannot be reached. Check your connection; nothing that runs is lost.');
  }

  /** Reads a refusal, whatever its body is. */
  static async of(response: Response, body?: unknown): Promise<ApiProblem> {
    const problem = (body ?? (await response.json().catch(() => null))) as Partial<Problem> | null;
    const wait = Number(response.headers.get('retry-after') ?? Number.NaN);
    return new ApiProblem(
      response.status,
      problem?.code ?? 'unknown',
      problem?.detail || `The server answered ${response.status}.`,
      problem?.errors ?? [],
      Number.isFinite(wait) ? wait : null,
    );
  }

  get unreached(): boolean {
    return this.status === 0;
  }
}

/** The text to show for whatever was thrown. */
export function sayProblem(error: unknown): string {
  if (error instanceof ApiProblem) {
    const [first] = error.errors;
    if (error.errors.length === 1 && first) return `${capital(fieldName(first.pointer))} ${first.detail}.`;
    if (error.status === 429 && error.retryAfter) return `${error.message} Try again in ${error.retryAfter} s.`;
    return error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

/** What is wrong with each field of a form, by the last word of its pointer. */
export function fieldFaults(error: unknown): Record<string, string> {
  if (!(error instanceof ApiProblem)) return {};
  return Object.fromEntries(error.errors.map((fault) => [fault.pointer.split('/').pop() ?? '', `${capital(fault.detail)}.`]));
}

function fieldName(pointer: string): string {
  return (pointer.split('/').pop() ?? pointer).replaceAll('_', ' ');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
