import { expect, test } from 'vitest';
import { ApiProblem, fieldFaults, sayProblem } from './problem';

const refusal = (status: number, body: string, headers: Record<string, string> = {}) => ApiProblem.of(new Response(body, { status, headers }));

test('a problem document is told in its own words', async () => {
  const problem = await refusal(422, JSON.stringify({ code: 'invalid', detail: '2 fields are not acceptable.', errors: [{ pointer: '/limits/pids', detail: 'must be at least 4' }, { pointer: '/code', detail: 'must not be blank' }] }));
  expect(sayProblem(problem)).toBe('2 fields are not acceptable.');
  expect(fieldFaults(problem)).toEqual({ pids: 'Must be at least 4.', code: 'Must not be blank.' });
});

test('one field is named, a wait is told', async () => {
  expect(sayProblem(await refusal(422, JSON.stringify({ detail: 'x', errors: [{ pointer: '/tenant_name', detail: 'must not be blank' }] })))).toBe('Tenant name must not be blank.');
  expect(sayProblem(await refusal(429, JSON.stringify({ detail: 'Too many.' }), { 'retry-after': '7' }))).toBe('Too many. Try again in 7 s.');
});

test('what is no problem document has words too', async () => {
  expect(sayProblem(await refusal(502, '<html>'))).toBe('The server answered 502.');
  expect(sayProblem(ApiProblem.unreachable())).toContain('cannot be reached');
});
