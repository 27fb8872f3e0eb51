/** Who is signed in, and where. */
import { accessToken, forget, hold } from '../api/access';
import { api, ask, open, whenSignedOut } from '../api/client';
import type { LoginRequest, Me, SignupRequest } from '../api/schema';

type Standing = 'starting' | 'unreachable' | 'out' | 'in';
/** Set once somebody has signed in with this browser; says which form to show first, and nothing else. */
const KNOWN = 'kiln.known';
const RANKS = ['viewer', 'member', 'admin', 'owner'];

class Session {
  standing = $state<Standing>('starting');
  me = $state<Me | null>(null);
  /** It ended by itself: the person wants back to where they were. */
  expired = $state(false);
  private readonly tabs = new BroadcastChannel('kiln.session');

  constructor() {
    whenSignedOut(() => this.end(true));
    this.tabs.onmessage = () => {
      // Another tab signed out, in or elsewhere; ask the server who this is now.
      forget();
      void this.start();
    };
  }

  async start(): Promise<void> {
    try {
      if (await accessToken()) await this.enter();
      else this.end(this.standing === 'in');
    } catch {
      if (this.standing !== 'in') this.standing = 'unreachable';
    }
  }

  async signUp(body: SignupRequest): Promise<void> {
    hold(await ask(open.POST('/api/v1/auth/signup', { body })));
    await this.enter();
    this.tabs.postMessage('in');
  }

  async logIn(body: LoginRequest): Promise<void> {
    hold(await ask(open.POST('/api/v1/auth/login', { body })));
    await this.enter();
    this.tabs.postMessage('in');
  }

  async logOut(): Promise<void> {
    await ask(api.POST('/api/v1/auth/logout'));
    this.end(false);
    this.tabs.postMessage('out');
  }

  async switchTo(tenant_id: string): Promise<void> {
    hold(await ask(api.POST('/api/v1/auth/switch', { body: { tenant_id } })));
    await this.enter();
    this.tabs.postMessage('switched');
  }

  /** Whether the caller's role is at least this one. */
  atLeast(role: 'viewer' | 'member' | 'admin' | 'owner'): boolean {
    return RANKS.indexOf(this.me?.role ?? '') >= RANKS.indexOf(role);
  }

  get knownHere(): boolean {
    return localStorage.getItem(KNOWN) !== null;
  }

  /** What is known of the caller, anew. */
  async renew(): Promise<void> {
    this.me = await ask(api.GET('/api/v1/auth/me'));
  }

  private async enter(): Promise<void> {
    await this.renew();
    this.standing = 'in';
    this.expired = false;
    localStorage.setItem(KNOWN, '1');
  }

  private end(expired: boolean): void {
    forget();
    // Several calls may be refused at once; only the first of them ends anything.
    if (this.me) this.expired = expired;
    this.me = null;
    this.standing = 'out';
  }
}

export const session = new Session();
