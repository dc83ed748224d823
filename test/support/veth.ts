import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { loadBpfAddon } from '../../src/capture/bpf.js';

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/**
 * Two network namespaces joined by a veth pair, silent but for what a test sends: no IPv6, neighbours set by hand.
 * 10.9.0.1 (`near`, interface `out`) sends; 10.9.0.2 (`far`, interface `in`) receives and is metered.
 */
export class VethPair {
  readonly near: string;
  readonly far: string;
  readonly device = 'in';
  #port = 5000;

  /** `queues` > 1 lets as many CPUs run the metered side's XDP program at once. */
  constructor(tag: string, queues = 1) {
    this.near = `tg-${tag}-${process.pid}-near`;
    this.far = `tg-${tag}-${process.pid}-far`;
    for (const name of [this.near, this.far]) {
      run('ip', 'netns', 'add', name);
      run('ip', 'netns', 'exec', name, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1');
      run('ip', 'netns', 'exec', name, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
    }
    run(
      'ip', '-n', this.near, 'link', 'add', 'out', 'address', '02:00:00:00:00:01',
      'numrxqueues', String(queues), 'numtxqueues', String(queues), 'type', 'veth',
      'peer', 'name', 'in', 'address', '02:00:00:00:00:02',
      'numrxqueues', String(queues), 'numtxqueues', String(queues), 'netns', this.far,
    ); // biome-ignore format: one command
    run('ip', '-n', this.near, 'addr', 'add', '10.9.0.1/24', 'dev', 'out');
    run('ip', '-n', this.far, 'addr', 'add', '10.9.0.2/24', 'dev', 'in');
    run('ip', '-n', this.near, 'link', 'set', 'out', 'up');
    run('ip', '-n', this.far, 'link', 'set', 'in', 'up');
    run('ip', '-n', this.far, 'link', 'set', 'lo', 'up');
    run('ip', '-n', this.near, 'neigh', 'replace', '10.9.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'out');
    run('ip', '-n', this.far, 'neigh', 'replace', '10.9.0.1', 'lladdr', '02:00:00:00:00:01', 'dev', 'in');
  }

  /** What a source needs to meter the receiving side. */
  get metered(): { name: string; netns: string } {
    return { name: this.device, netns: `/run/netns/${this.far}` };
  }

  /**
   * Sends `flows × packetsPerFlow` UDP datagrams of `payload` octets from as many source ports as flows, flow after
   * flow in turn; resolves when the kernel has taken them all.
   */
  sendUdp(
    flows: number,
    packetsPerFlow: number,
    payload = 100,
    destination = '10.9.0.2',
    source = '10.9.0.1',
  ): void {
    const script = `
      const { createSocket } = require('node:dgram');
      const body = Buffer.alloc(${payload});
      (async () => {
        const sockets = [];
        for (let i = 0; i < ${flows}; i += 1) {
          const socket = createSocket('udp4');
          await new Promise((resolve) => socket.bind(20000 + i, '${source}', resolve));
          sockets.push(socket);
        }
        for (let n = 0; n < ${packetsPerFlow}; n += 1)
          await Promise.all(sockets.map((socket) => new Promise((resolve, reject) =>
            socket.send(body, 9, '${destination}', (error) => (error ? reject(error) : resolve())))));
        for (const socket of sockets) socket.close();
      })();`;
    run('ip', 'netns', 'exec', this.near, process.execPath, '-e', script);
  }

  /**
   * Sends TCP segments from `threads` CPUs at once, each of them packets / threads of the same sequence of flows;
   * `flows` 0 = every packet from another random source.
   */
  async flood(packets: number, options: { threads: number; flows: number; flags?: number }): Promise<void> {
    const { flood } = loadBpfAddon() as unknown as { flood(o: object): Promise<void> };
    await flood({
      netns: `/run/netns/${this.near}`,
      device: 'out',
      packets,
      threads: options.threads,
      flows: options.flows,
      seed: 1,
      flags: options.flags ?? 0x10,
    });
  }

  /** Packets that crossed the wire towards the metered side, and that were dropped before it. */
  wire(): { packets: number; dropped: number } {
    const read = (name: string): number =>
      Number(run('ip', 'netns', 'exec', this.near, 'cat', `/sys/class/net/out/statistics/${name}`).trim());
    return { packets: read('tx_packets'), dropped: read('tx_dropped') };
  }

  /** Sends so many octets over one TCP connection; resolves when the receiver has read them all. */
  async transferTcp(octets: number): Promise<void> {
    this.#port += 1;
    const port = this.#port;
    const server = `
      require('node:net').createServer((socket) => {
        let got = 0;
        socket.on('data', (chunk) => { got += chunk.length; if (got === ${octets}) socket.end('done'); });
        socket.on('close', () => process.exit(0));
      }).listen(${port}, '10.9.0.2', () => console.log('ready'));`;
    const client = `
      const { spawn } = require('node:child_process');
      const server = spawn('ip', ['netns', 'exec', '${this.far}', process.execPath, '-e', ${JSON.stringify(server)}]);
      server.stdout.once('data', () => {
        const socket = require('node:net').connect(${port}, '10.9.0.2', () => socket.write(Buffer.alloc(${octets})));
        socket.on('data', () => {});
      });
      server.on('exit', () => process.exit(0));`;
    await promisify(execFile)('ip', ['netns', 'exec', this.near, process.execPath, '-e', client]);
  }

  exec(...command: string[]): string {
    return run('ip', 'netns', 'exec', this.far, ...command);
  }

  execNear(...command: string[]): string {
    return run('ip', 'netns', 'exec', this.near, ...command);
  }

  remove(): void {
    for (const name of [this.near, this.far]) run('ip', 'netns', 'del', name);
  }
}

/** Interfaces with an XDP program in a namespace, as iproute2 sees them. */
export const xdpInterfaces = (netns: string): string[] =>
  run('ip', '-n', netns, '-j', 'link', 'show')
    .split('\n')
    .flatMap((line) => (line === '' ? [] : (JSON.parse(line) as { ifname: string; xdp?: unknown }[])))
    .filter((link) => link.xdp !== undefined)
    .map((link) => link.ifname);
