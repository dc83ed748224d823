import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { linksDown } from '../../src/actuate/link-health.js';
import { type LinkEvent, LinkWatch } from '../../src/actuate/link-watch.js';
import { type NetnsPair, netnsPair, netnsSkipReason } from '../support/netns.js';

const skip = netnsSkipReason();
describe.skipIf(skip !== undefined)(`link watch${skip === undefined ? '' : ` (skipped: ${skip})`}`, () => {
  let pair: NetnsPair;
  const events: LinkEvent[] = [];
  let watch: LinkWatch;

  beforeAll(async () => {
    pair = await netnsPair();
    watch = new LinkWatch(pair.leftPath, (event) => events.push(event));
    watch.start();
  });
  afterAll(async () => {
    await watch.stop();
    await pair?.remove();
  });

  test('an interface that loses its carrier is down though it is up, and back when the other end is', async () => {
    const ip = (netns: string, ...args: string[]): void => {
      execFileSync('nsenter', [`--net=${netns}`, 'ip', 'link', 'set', ...args]);
    };
    const far = (state: string): void => ip(pair.rightPath, 'right', state);
    const last = () => events.findLast(({ interfaceName }) => interfaceName === 'left')?.up;
    // Any change tells that the child listens.
    let changes = 0;
    await vi.waitFor(
      () => {
        changes += 1;
        ip(pair.leftPath, 'left', 'alias', `change ${changes}`);
        expect(last()).toBe(true);
      },
      { timeout: 10_000, interval: 100 },
    );
    const links = ['left', 'gone'].map((interfaceName) => ({
      linkId: `over-${interfaceName}`,
      interfaceName,
    }));
    expect(await linksDown(links, pair.leftPath)).toEqual(new Set(['over-gone']));
    far('down');
    await vi.waitFor(() => expect(last()).toBe(false), { timeout: 10_000 });
    expect(await linksDown(links, pair.leftPath)).toEqual(new Set(['over-left', 'over-gone']));
    far('up');
    await vi.waitFor(() => expect(last()).toBe(true), { timeout: 10_000 });
  });
});
