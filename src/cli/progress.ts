import { SingleBar } from 'cli-progress';
import type { CliContext } from './context.js';

/** How far long work has come, for a person who waits. Everything is said on stderr. */
export interface Progress {
  /** `done` of `of` steps of a stage; words that follow say more. */
  show(stage: string, done: number, of: number, words?: string): void;
  /** Removes the bar; the terminal is as it was. */
  end(): void;
}

const SILENT: Progress = { show: () => undefined, end: () => undefined };

/** Repaints at most so often, whatever is reported. */
const FRAMES_A_SECOND = 10;

/**
 * One bar where stderr is a terminal and nobody said `--no-progress`; nothing otherwise. It has no colours, and work that
 * never yields to the event loop moves it too.
 */
export function progressOn(context: Pick<CliContext, 'stderr' | 'progress'>): Progress {
  if (!context.progress) return SILENT;
  let bar: SingleBar | undefined;
  const start = (): SingleBar => {
    const made = new SingleBar({
      stream: context.stderr as NodeJS.WritableStream,
      format: '{stage} [{bar}] {percentage} % {words}',
      barCompleteChar: '#',
      barIncompleteChar: '.',
      barsize: 30,
      fps: FRAMES_A_SECOND,
      clearOnComplete: true,
      hideCursor: true,
      gracefulExit: false,
      linewrap: false,
    });
    made.start(1, 0, { stage: '', words: '' });
    return made;
  };
  return {
    show(stage, done, of, words = '') {
      bar ??= start();
      bar.setTotal(Math.max(1, of));
      bar.update(Math.min(done, of), { stage, words });
    },
    end() {
      bar?.stop();
      bar = undefined;
    },
  };
}
