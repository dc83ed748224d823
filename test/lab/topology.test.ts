import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LabTopology } from '../../src/lab/index.js';
import { netnsPath, processesIn } from '../../src/lab/namespaces.js';
import { netnsSkipReason, uniqueName } from '../support/netns.js';

const skip = netnsSkipReason();
const hasPing = (process.env.PATH ?? '')
  .split(delimiter)
  .some((directory) => existsSync(join(directory, 'ping')));
const stateDirectory = mkdtempSync(join(tmpdir(), 'tidegate-lab-state-'));
const dist = join(import.meta.dirname, '..', '..', 'dist', 'lab', 'index.js');

const present = (lab: LabTopology): string[] => lab.namespaces.filter((name) => existsSync(netnsPath(name)));
const hostLinks = (): string => execFileSync('ip', ['-o', 'link', 'show'], { encoding: 'utf8' });
const inside = (
  lab: LabTopology,
  node: Parameters<LabTopology['netnsOf']>[0],
  ...command: string[]
): string =>
  execFileSync('nsenter', [`--net=${lab.netnsOf(node)}`, ...command], { encoding: 'utf8', stdio: 'pipe' });

afterAll(() => rmSync(stateDirectory, { recursive: true, force: true }));

test('a name that cannot be part of a namespace name is refused', () => {
  for (const name of ['', 'Lab', '../x', 'a'.repeat(25), '1a'])
    expect(() => new LabTopology({ name })).toThrowError(expect.objectContaining({ code: 'TG_LAB_NAME' }));
});

test('without privileges the error says which capability is missing', () => {
  // Any user may enter a user namespace of its own or not, so the capabilities are dropped instead.
  const script = `
    import { LabTopology } from ${JSON.stringify(dist)};
    await new LabTopology({ name: 'never' }).start().catch((e) => console.log(e.toLine()));`;
  const setpriv = [
    '--bounding-set=-net_admin,-sys_admin',
    '--inh-caps=-all',
    '--reuid=65534',
    '--clear-groups',
  ];
  const said = execFileSync('setpriv', [...setpriv, process.execPath, '--input-type=module', '-e', script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    cwd: '/',
  });
  expect(said).toMatch(/^TG_LAB_PRIVILEGE: the lab needs CAP_NET_ADMIN and CAP_SYS_ADMIN .*; run as root/);
});

describe.skipIf(skip !== undefined)(`lab topology${skip === undefined ? '' : ` (skipped: ${skip})`}`, () => {
  describe('while it stands', () => {
    const lab = new LabTopology({ name: uniqueName('tgt'), stateDirectory });
    const linksBefore = skip === undefined ? hostLinks() : '';

    beforeAll(() => lab.start());
    afterAll(() => lab.stop());

    test('has four namespaces and nothing outside them', () => {
      expect(present(lab)).toHaveLength(4);
      expect(hostLinks()).toBe(linksBefore);
    });

    test.each(['private', 'gateway', 'public-a', 'public-b'] as const)(
      '%s has no route to the outside',
      (node) => {
        for (const family of ['-4', '-6']) {
          expect(inside(lab, node, 'ip', family, 'route', 'show', 'default')).toBe('');
          const target = family === '-4' ? '1.1.1.1' : '2606:4700:4700::1111';
          expect(() => inside(lab, node, 'ip', family, 'route', 'get', target)).toThrow(/unreachable/);
        }
        const peers = [...inside(lab, node, 'ip', '-o', 'link', 'show').matchAll(/link-netns (\S+)/g)];
        expect(peers.map((match) => match[1]).filter((name) => !lab.namespaces.includes(name!))).toEqual([]);
        const links = inside(lab, node, 'ip', '-o', 'link', 'show', 'type', 'veth').trim().split('\n');
        expect(peers).toHaveLength(links.length);
      },
    );

    test('the gateway has one interface a link, as declared', () => {
      const found = inside(lab, 'gateway', 'ip', '-j', 'addr', 'show');
      const devices = JSON.parse(found) as { ifname: string; addr_info: { local: string }[] }[];
      for (const declared of lab.interfaces) {
        const device = devices.find((candidate) => candidate.ifname === declared.name);
        const addresses = device?.addr_info.map((info) => info.local) ?? [];
        expect(addresses).toEqual(expect.arrayContaining([declared.ipv4, declared.ipv6]));
      }
      expect(lab.interfaces.map((i) => i.linkId)).toEqual(['private', 'public-a', 'public-b']);
    });

    test.skipIf(!hasPing)(
      `pings cross it${hasPing ? '' : ' (skipped: needs ping, Debian: iputils-ping)'}`,
      () => {
        const ping = (node: 'private' | 'public-a' | 'public-b', target: string): string =>
          inside(lab, node, 'ping', '-c', '2', '-i', '0.1', '-W', '5', target);
        for (const target of [
          '198.51.100.10',
          '203.0.113.41',
          '2001:db8:a::10',
          '2001:db8:b::41',
          '192.0.2.61',
        ])
          expect(ping('private', target)).toMatch(/2 received.* 0% packet loss/);
        for (const target of ['10.20.0.31', 'fd00:20::31', '192.0.2.200', '192.0.2.10'])
          expect(ping('public-b', target)).toMatch(/2 received.* 0% packet loss/);
        // One hop on the way: the gateway.
        expect(ping('private', '203.0.113.41')).toMatch(/ttl=63/);
      },
    );

    test('the ends behind the gateway send real packets', () => {
      const features = inside(lab, 'private', 'ethtool', '-k', 'uplink');
      expect(features).toMatch(/^tx-checksumming: off/m);
      expect(features).toMatch(/tx-tcp-segmentation: off/);
      expect(features).toMatch(/^generic-receive-offload: on/m);
    });

    test('a second lab of the same name by another process is refused', () => {
      const script = `
        import { LabTopology } from ${JSON.stringify(dist)};
        const lab = new LabTopology({ name: ${JSON.stringify(lab.name)}, stateDirectory: ${JSON.stringify(stateDirectory)} });
        await lab.start().catch((e) => console.log(e.code, e.details.pid));`;
      const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        encoding: 'utf8',
      });
      expect(said.trim()).toBe(`TG_LAB_BUSY ${process.pid}`);
      expect(present(lab)).toHaveLength(4);
    });
  });

  describe('when it goes', () => {
    const lab = new LabTopology({ name: uniqueName('tgt'), stateDirectory });
    afterEach(() => lab.stop());

    test('comes and goes again and again without leftovers', async () => {
      const before = hostLinks();
      for (let i = 0; i < 3; i += 1) {
        await lab.start();
        const sleeper = spawn('nsenter', [`--net=${lab.netnsOf('private')}`, 'sleep', '300'], {
          stdio: 'ignore',
        });
        const gone = new Promise((resolve) => sleeper.once('exit', resolve));
        while (!processesIn(lab.namespaces).includes(sleeper.pid!))
          await new Promise((r) => setTimeout(r, 10));
        await lab.stop();
        await gone; // whoever still sat in a namespace was ended with it
        expect(present(lab)).toEqual([]);
        expect(hostLinks()).toBe(before);
        expect(readdirSync(stateDirectory)).not.toContain(`${lab.name}.json`);
      }
      await lab.stop(); // once more does nothing
    });

    test('what a killed owner left behind is removed by the next start, and its processes are ended', async () => {
      const script = `
        import { spawn } from 'node:child_process';
        import { LabTopology } from ${JSON.stringify(dist)};
        const lab = new LabTopology({ name: ${JSON.stringify(lab.name)}, stateDirectory: ${JSON.stringify(stateDirectory)} });
        await lab.start();
        spawn('nsenter', ['--net=' + lab.netnsOf('private'), 'sleep', '300'], { stdio: 'ignore', detached: true }).unref();
        setTimeout(() => console.log('built'), 100);
        setInterval(() => undefined, 1000);`;
      const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await new Promise((resolve) => owner.stdout.once('data', resolve));
      const killed = new Promise((resolve) => owner.once('exit', resolve));
      owner.kill('SIGKILL');
      await killed;
      expect(present(lab)).toHaveLength(4);
      const orphans = processesIn(lab.namespaces);
      expect(orphans).toHaveLength(1);
      await lab.start();
      expect(present(lab)).toHaveLength(4);
      expect(orphans.filter((pid) => existsSync(`/proc/${pid}/fd/0`))).toEqual([]);
      await lab.stop();
      expect(present(lab)).toEqual([]);
    });

    test('a build that fails half-way leaves nothing', async () => {
      const broken = new LabTopology({ name: uniqueName('tgt'), stateDirectory, queues: 100_000 });
      await expect(broken.start()).rejects.toMatchObject({ code: 'TG_LAB_BUILD' });
      expect(present(broken)).toEqual([]);
      expect(readdirSync(stateDirectory)).not.toContain(`${broken.name}.json`);
    });
  });
});
