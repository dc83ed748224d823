import { RateMeter } from '../pipeline/rate-meter.js';
import type { GatewayStatus, PacketBalance } from '../pipeline/status.js';

export interface Stage {
  readonly stage: string;
  readonly words: string;
  /** Packets that went through it so far, and in a second now. */
  readonly passed: number;
  readonly passedPerSecond: number;
  /** Packets that are in it now. */
  readonly resident: number;
  readonly lost: number;
}

/** The way of a packet: place of residence, the stages whose losses happen there, and what it is. */
const WAY = [
  { stage: 'kernelCache', losses: ['kernel'], words: 'flow cache of each CPU, in the kernel' },
  { stage: 'rings', losses: [] as readonly string[], words: 'rings from the kernel to the reader' },
  { stage: 'flowTable', losses: ['process'], words: 'flow table of the reader' },
  { stage: 'slabs', losses: ['pipeline'], words: 'batches: features, fingerprints, workloads' },
  { stage: 'spool', losses: ['store'], words: 'write-ahead spool in front of the store' },
] as const;

/** Each stage from what the balance says: what passed a stage is what was seen, less what stayed or was lost before. */
export function stagesOf(packets: PacketBalance): Omit<Stage, 'passedPerSecond'>[] {
  let passed = packets.seen;
  const known = new Set<string>(WAY.flatMap((place) => place.losses));
  return WAY.map((place, i) => {
    const resident = packets.residentBy[place.stage] ?? 0;
    const lost = packets.lostBy
      .filter(
        // A loss of a stage that is not listed is counted at the first one rather than at none.
        ({ stage }) => (place.losses as readonly string[]).includes(stage) || (i === 0 && !known.has(stage)),
      )
      .reduce((sum, loss) => sum + loss.packets, 0);
    passed -= resident + lost;
    return { stage: place.stage, words: place.words, passed, resident, lost };
  });
}

/** Rates of the stages, from the gateway's counters read once a second. */
export class StageMonitor {
  readonly #status: () => GatewayStatus;
  readonly #meter = new RateMeter();
  #timer: NodeJS.Timeout | undefined;

  constructor(status: () => GatewayStatus) {
    this.#status = status;
  }

  start(): void {
    this.#timer = setInterval(() => {
      const passed = stagesOf(this.#status().packets).map((stage) => stage.passed);
      this.#meter.update(performance.now(), passed);
    }, 1000);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  read(packets: PacketBalance): Stage[] {
    const rates = this.#meter.rates;
    return stagesOf(packets).map((stage, i) => ({ ...stage, passedPerSecond: Math.max(0, rates[i] ?? 0) }));
  }
}
