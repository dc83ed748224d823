import { MODEL_NAMES } from './models.js';

const REQUEST = 0;
const MODEL = 1;
const NOWHERE = -1;

/**
 * Which series and which model a worker is at, in memory that the main thread still reads when the worker hangs or is
 * gone. Requests are counted from 0.
 */
export class Whereabouts {
  readonly shared: SharedArrayBuffer;
  readonly #cells: Int32Array;

  constructor(shared = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)) {
    this.shared = shared;
    this.#cells = new Int32Array(shared);
  }

  /** As seen from the main thread, before the worker begins. */
  reset(): void {
    Atomics.store(this.#cells, REQUEST, NOWHERE);
    Atomics.store(this.#cells, MODEL, NOWHERE);
  }

  enter(request: number, model: string): void {
    Atomics.store(this.#cells, REQUEST, request);
    Atomics.store(this.#cells, MODEL, MODEL_NAMES.indexOf(model));
  }

  /** `undefined` when the worker had not begun. */
  get last(): { readonly request: number; readonly model: string } | undefined {
    const request = Atomics.load(this.#cells, REQUEST);
    const model = MODEL_NAMES[Atomics.load(this.#cells, MODEL)];
    return request === NOWHERE || model === undefined ? undefined : { request, model };
  }
}
