import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIPv6 } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { ApiConfig, Role } from './config.js';
import { apiError } from './errors.js';

/** Who asks, as the audit names them. */
export interface Caller {
  readonly name: string;
  readonly role: Role | 'none';
  readonly address: string;
}

export interface Listener {
  /** The unix socket, which only the owner can open, or a TCP address. */
  readonly kind: 'socket' | 'tcp';
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether an address is of this host itself. */
export const isLoopback = (address: string): boolean => {
  const plain = address.replace(/^::ffff:/, '');
  return loopback.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
};

/** Headers that a proxy adds: then the peer is the proxy, not the caller. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'] as const;

const hostnameOf = (host: string): string =>
  host
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '');

/** Decides who a caller is and whether their browser was lured here. */
export class Access {
  readonly #config: ApiConfig;
  readonly #tokens: readonly { readonly digest: Buffer; readonly name: string; readonly role: Role }[];

  constructor(config: ApiConfig) {
    this.#config = config;
    this.#tokens = config.tokens.map((t) => ({ ...t, digest: Buffer.from(t.sha256, 'hex') }));
  }

  /** @throws TG_API_UNAUTHENTICATED for a token that is none of ours */
  identify(request: FastifyRequest, listener: Listener): Caller {
    const address = request.socket.remoteAddress ?? '';
    if (listener.kind === 'socket') return { name: 'owner', role: 'operate', address: 'unix' };
    const { authorization } = request.headers;
    if (authorization !== undefined) {
      const token = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1];
      const digest = createHash('sha256')
        .update(token ?? '')
        .digest();
      // Every token is compared, so that the time tells nothing about which one matched.
      const [known] = this.#tokens.filter((t) => timingSafeEqual(t.digest, digest));
      if (token === undefined || known === undefined) throw apiError('TG_API_UNAUTHENTICATED');
      return { name: known.name, role: known.role, address };
    }
    const proxied = FORWARDED.some((header) => request.headers[header] !== undefined);
    if (isLoopback(address) && !proxied)
      return { name: 'loopback', role: this.#config.loopbackRole, address };
    return { name: 'nobody', role: 'none', address };
  }

  /** @throws TG_API_UNAUTHENTICATED, TG_API_FORBIDDEN */
  require(caller: Caller, needed: Role): void {
    if (caller.role === 'operate' || caller.role === needed) return;
    if (caller.role === 'none') throw apiError('TG_API_UNAUTHENTICATED');
    throw apiError('TG_API_FORBIDDEN', { needed, name: caller.name, role: caller.role });
  }

  /**
   * Browsers name the page that asks (`Origin`) and the name they asked (`Host`). A foreign page, or a name that was
   * pointed at this host (DNS rebinding), gets nothing. Programs send no Origin and carry tokens.
   *
   * @throws TG_API_HOST, TG_API_ORIGIN
   */
  checkBrowser(request: FastifyRequest, listener: Listener): void {
    if (listener.kind === 'socket') return;
    const host = request.headers.host ?? '';
    const name = hostnameOf(host);
    const local = request.socket.localAddress?.replace(/^::ffff:/, '') ?? '';
    const known = name === 'localhost' || name === local || this.#config.hosts.includes(name);
    if (!known) throw apiError('TG_API_HOST', { host: host === '' ? 'nothing' : host });
    const { origin } = request.headers;
    if (origin === undefined) return;
    let from = '';
    try {
      from = new URL(origin).host;
    } catch {
      // `null` and the like are foreign.
    }
    if (from !== host.toLowerCase()) throw apiError('TG_API_ORIGIN', { origin });
  }
}
