import { MODEL_NAMES } from './models.js';

/** Counted from 1; 0 = the worker has not begun. */
const REQUEST = 0;
const MODEL = 1;

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

  enter(request: number, model: string): void {
    Atomics.store(this.#cells, MODEL, MODEL_NAMES.indexOf(model));
    Atomics.store(this.#cells, REQUEST, request + 1);
  }

  /** `undefined` when the worker had not begun. */
  get last(): { readonly request: number; readonly model: string } | undefined {
    const request = Atomics.load(this.#cells, REQUEST) - 1;
    const model = MODEL_NAMES[Atomics.load(this.#cells, MODEL)];
    return request < 0 || model === undefined ? undefined : { request, model };
  }
}
