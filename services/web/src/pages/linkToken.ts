/** The token of a link that came by mail: behind `#`, which no server sees; taken out of the address at once. */
export function takeLinkToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token) history.replaceState(null, '', location.pathname);
  return token;
}
