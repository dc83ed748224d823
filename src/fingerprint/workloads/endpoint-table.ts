/** Where a service endpoint belongs. */
export interface EndpointState {
  workloadId: number;
  lastMs: number;
  service: string;
}

/** `6/443/shop.example.com` of the endpoint `6/443/192.0.2.1/shop.example.com`; undefined where no name was seen. */
function namedService(key: string): string | undefined {
  const [protocol, port, , name] = key.split('/');
  return name === undefined ? undefined : `${protocol}/${port}/${name}`;
}

/** Known service endpoints by key, in order of last use, and by the server name that clients asked for. */
export class EndpointTable {
  /** The longest unused first. */
  readonly #endpoints = new Map<string, EndpointState>();
  /** Service by name (`6/443/shop.example.com`) → an endpoint of it. */
  readonly #named = new Map<string, string>();

  get size(): number {
    return this.#endpoints.size;
  }

  get(key: string): EndpointState | undefined {
    return this.#endpoints.get(key);
  }

  /** An endpoint where the same name is served on the same port. */
  sibling(key: string): EndpointState | undefined {
    const named = namedService(key);
    return named === undefined ? undefined : this.#endpoints.get(this.#named.get(named) ?? '');
  }

  set(key: string, state: EndpointState): void {
    this.#endpoints.set(key, state);
    const named = namedService(key);
    if (named !== undefined) this.#named.set(named, key);
  }

  /** It is the last used one now. */
  touch(key: string, state: EndpointState, nowMs: number): void {
    this.#endpoints.delete(key);
    this.#endpoints.set(key, state);
    state.lastMs = nowMs;
  }

  delete(key: string): void {
    this.#endpoints.delete(key);
    const named = namedService(key);
    if (named !== undefined && this.#named.get(named) === key) this.#named.delete(named);
  }

  clear(): void {
    this.#endpoints.clear();
    this.#named.clear();
  }

  /** The endpoint that was unused for longest. */
  oldest(): readonly [string, EndpointState] | undefined {
    return this.#endpoints.entries().next().value;
  }

  values(): IterableIterator<EndpointState> {
    return this.#endpoints.values();
  }

  [Symbol.iterator](): IterableIterator<[string, EndpointState]> {
    return this.#endpoints[Symbol.iterator]();
  }
}
