import type { ServiceEndpoint } from '../actuate/index.js';

const PROTOCOLS: Readonly<Record<string, ServiceEndpoint['protocol']>> = { '6': 'tcp', '17': 'udp' };

/** `6/443/192.0.2.1` → where steering finds it; `undefined` for what has no port. */
export function endpointOf(key: string): ServiceEndpoint | undefined {
  const [protocol = '', port = '', address = ''] = key.split('/');
  const name = PROTOCOLS[protocol];
  const number = Number(port);
  return name === undefined || !(number > 0) || address === ''
    ? undefined
    : { address, protocol: name, port: number };
}
