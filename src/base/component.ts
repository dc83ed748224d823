/**
 * How every long-lived part of Tidegate behaves: constructed inert, then started, then stopped. `stop` is
 * safe to call more than once and after a failed start; what was accepted before it is not lost.
 */
export interface Component {
  start(): Promise<void>;
  stop(): Promise<void>;
}
