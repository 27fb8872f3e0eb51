/** The API as typed calls: `await ask(api.GET('/api/v1/runtimes'))` gives the body or throws an `ApiProblem`. */
import createClient from 'openapi-fetch';
import { accessToken, refused } from './access';
import { ApiProblem } from './problem';
import type { paths } from './schema';

type Listener = () => void;
const onSignedOut: Listener[] = [];

/** Calls back when the server no longer knows who this is. */
export function whenSignedOut(listener: Listener): void {
  onSignedOut.push(listener);
}

/** As `fetch`, with the caller's token; once more with a new one when the first was refused. */
export async function authorized(request: Request): Promise<Response> {
  for (let attempt = 0; ; attempt += 1) {
    const token = await accessToken();
    const again = request.clone();
    if (token) again.headers.set('authorization', `Bearer ${token}`);
    const response = await fetch(again).catch((error: unknown) => {
      throw request.signal.aborted ? error : ApiProblem.unreachable();
    });
    if (response.status !== 401) return response;
    refused(token);
    if (!token || attempt > 0) {
      for (const listener of onSignedOut) listener();
      return response;
    }
  }
}

export const api = createClient<paths>({ baseUrl: location.origin, fetch: authorized });
/** For the calls of somebody who is not signed in yet. */
export const open = createClient<paths>({
  baseUrl: location.origin,
  fetch: (request) =>
    fetch(request).catch(() => {
      throw ApiProblem.unreachable();
    }),
});

type Answer<T> = { data?: T; error?: unknown; response: Response };

export async function ask<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw await ApiProblem.of(response, error);
  return data as T;
}
