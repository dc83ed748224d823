import { messageOf, TidegateError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { XdpSource } from '../capture/xdp.js';
import { blocker, type DoctorFinding, info, ok, warning } from './finding.js';
import { outputOf } from './try.js';

type Found = Omit<DoctorFinding, 'id'>;

/** What was found out by doing it: on a cable of our own that is gone again, never on the host's interfaces. */
export interface Trial {
  /** Programs, maps, timers and the reader. */
  readonly load: Found;
  /** Native XDP on a veth. */
  readonly native: Found;
  /** An HTB qdisc and a class on it. */
  readonly shaping: Found;
}

const TINY = { cacheEntries: 256, ringBytes: 262_144, maxFlows: 1024 } as const;

async function attach(names: readonly string[], logger: Logger): Promise<void> {
  const interfaces = names.map((name) => ({ name }));
  const source = new XdpSource({ ...TINY, interfaces, mode: 'native' }, undefined, logger);
  try {
    await source.start();
  } finally {
    await source.stop().catch(() => undefined);
  }
}

const loaded = ok('the verifier takes the programs; ring buffers, per-CPU maps and timers work');
const refused = (error: unknown): Found =>
  blocker(messageOf(error), error instanceof TidegateError ? error.hint : 'see the log of the kernel');

async function shape(name: string): Promise<Found> {
  const qdisc = await outputOf('tc', 'qdisc', 'add', 'dev', name, 'root', 'handle', '71de:', 'htb');
  const rate = ['htb', 'rate', '1mbit'];
  const made = await outputOf(
    'tc',
    'class',
    'add',
    'dev',
    name,
    'parent',
    '71de:',
    'classid',
    '71de:1',
    ...rate,
  );
  return qdisc !== undefined && made !== undefined
    ? ok('HTB works, tried on a cable of our own')
    : warning(
        'no HTB qdisc could be set on a cable of our own',
        'modprobe sch_htb; until then actuate.actuators cannot have htb',
      );
}

/** Tries everything once; what it makes is removed whatever happens. */
export async function tryDatapath(logger: Logger): Promise<Trial> {
  const name = `tgdoc${process.pid}`;
  const cable = await outputOf('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}b`);
  if (cable === undefined) {
    const untried = info('not tried: no veth can be made here', 'install iproute2; run as root');
    const load = await attach([], logger).then(() => loaded, refused);
    return { load, native: untried, shaping: untried };
  }
  try {
    await outputOf('ip', 'link', 'set', name, 'up');
    const shaping = await shape(name);
    try {
      await attach([name], logger);
      return { load: loaded, native: ok('native XDP works, tried on a cable of our own'), shaping };
    } catch (error) {
      // Was it the program or the interface?
      const load = await attach([], logger).then(() => loaded, refused);
      const native =
        load === loaded
          ? warning(`no native XDP on a veth: ${messageOf(error)}`, 'see N-XDP for the interfaces that count')
          : info('not tried: the programs do not load');
      return { load, native, shaping };
    }
  } finally {
    await outputOf('ip', 'link', 'del', name);
  }
}
