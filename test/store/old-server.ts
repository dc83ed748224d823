import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/free-port.js';

const SERVER = '/usr/sbin/clickhouse-server';
const JAVA = '/usr/bin/java';
const ZOOKEEPER = '/usr/share/java/zookeeper.jar';

/** Debian's ClickHouse (18.16) and ZooKeeper: another implementation of the protocol, old but real. */
export const oldServerInstalled = existsSync(SERVER);
export const zookeeperInstalled = existsSync(JAVA) && existsSync(ZOOKEEPER);

/** A program that was started and is ended by its own process id. */
class Program {
  readonly #start: () => ChildProcess;
  readonly #ready: () => Promise<boolean>;
  #child: ChildProcess | undefined;

  constructor(start: () => ChildProcess, ready: () => Promise<boolean>) {
    this.#start = start;
    this.#ready = ready;
  }

  async start(): Promise<void> {
    this.#child = this.#start();
    for (let i = 0; i < 600; i += 1) {
      if (this.#child.exitCode !== null) throw new Error(`it ended with ${this.#child.exitCode}`);
      if (await this.#ready().catch(() => false)) return;
      await sleep(100);
    }
    throw new Error('it does not answer');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
}

const run = (command: string, args: readonly string[], directory: string): ChildProcess => {
  const log = openSync(join(directory, 'output.log'), 'a');
  const child = spawn(command, [...args], { cwd: directory, stdio: ['ignore', log, log] });
  closeSync(log);
  return child;
};

export interface Node {
  readonly name: string;
  readonly shard: number;
}

export interface OldServer extends Program {
  readonly url: string;
}

/** ZooKeeper on a port of loopback. */
export async function zookeeper(directory: string): Promise<Program & { readonly port: number }> {
  const port = await freePort();
  mkdirSync(join(directory, 'data'), { recursive: true });
  writeFileSync(
    join(directory, 'zoo.cfg'),
    `tickTime=500\ndataDir=${join(directory, 'data')}\nclientPort=${port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=ruok\n`,
  );
  const classes = '/usr/share/java/*:/usr/share/zookeeper/*';
  const { connect } = await import('node:net');
  const ready = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('ruok'));
      socket.once('data', (data) => {
        resolve(data.toString() === 'imok');
        socket.destroy();
      });
      socket.once('error', () => resolve(false));
    });
  const program = new Program(
    () =>
      run(
        JAVA,
        [
          '-Xmx128m',
          '-cp',
          classes,
          'org.apache.zookeeper.server.quorum.QuorumPeerMain',
          join(directory, 'zoo.cfg'),
        ],
        directory,
      ),
    ready,
  );
  return Object.assign(program, { port });
}

/** Servers of one cluster `gateways` on loopback; one without ZooKeeper is a server alone. */
export async function oldServers(
  directory: string,
  nodes: readonly Node[],
  zookeeperPort?: number,
): Promise<OldServer[]> {
  const ports: { readonly http: number; readonly tcp: number; readonly interserver: number }[] = [];
  for (const _ of nodes)
    ports.push({ http: await freePort(), tcp: await freePort(), interserver: await freePort() });
  const shards = [...new Set(nodes.map(({ shard }) => shard))];
  const replicas = (shard: number): string =>
    nodes
      .map((node, i) =>
        node.shard === shard ? `<replica><host>127.0.0.1</host><port>${ports[i]!.tcp}</port></replica>` : '',
      )
      .join('');
  const cluster = shards
    .map((shard) => `<shard><internal_replication>true</internal_replication>${replicas(shard)}</shard>`)
    .join('');
  return nodes.map((node, i) => {
    const home = join(directory, node.name);
    for (const part of ['data', 'tmp', 'files']) mkdirSync(join(home, part), { recursive: true });
    const { http, tcp, interserver } = ports[i]!;
    writeFileSync(
      join(home, 'users.xml'),
      '<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>',
    );
    const keeper =
      zookeeperPort === undefined
        ? ''
        : `<zookeeper><node><host>127.0.0.1</host><port>${zookeeperPort}</port></node><session_timeout_ms>3000</session_timeout_ms></zookeeper><distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>`;
    writeFileSync(
      join(home, 'config.xml'),
      `<yandex><logger><level>warning</level><log>${home}/log</log><errorlog>${home}/errors</errorlog></logger>
<http_port>${http}</http_port><tcp_port>${tcp}</tcp_port><interserver_http_port>${interserver}</interserver_http_port>
<interserver_http_host>127.0.0.1</interserver_http_host><listen_host>127.0.0.1</listen_host>
<path>${home}/data/</path><tmp_path>${home}/tmp/</tmp_path><user_files_path>${home}/files/</user_files_path>
<users_config>${home}/users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>
<mark_cache_size>67108864</mark_cache_size><remote_servers><gateways>${cluster}</gateways></remote_servers>
<macros><shard>${node.shard}</shard><replica>${node.name}</replica></macros>${keeper}</yandex>`,
    );
    const url = `http://127.0.0.1:${http}`;
    const program = new Program(
      () => run(SERVER, [`--config-file=${join(home, 'config.xml')}`], home),
      async () => (await fetch(`${url}/ping`)).ok,
    );
    return Object.assign(program, { url });
  });
}
