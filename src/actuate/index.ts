export type {
  ActuationPlan,
  ActuationStep,
  Actuator,
  ApplyResult,
  DesiredAllocation,
  JsonValue,
  Preview,
  Verification,
} from './actuator.js';
export type { Journal, JournalEntry, JournalEvent, JournalMirror } from './journal.js';
