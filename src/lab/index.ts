export { type LabConfig, labConfig } from './config.js';
export {
  hostIPv4,
  hostIPv6,
  LAB_BURST,
  LAB_BURST_CLIENTS,
  LAB_EXCHANGE,
  LAB_LINKS,
  LAB_TRANSIT,
  type LabLinkId,
  type LabLinkPlan,
  type LabNode,
  type LabSubnet,
  linkPlan,
} from './plan.js';
export {
  runScenario,
  SCENARIO_NAMES,
  type ScenarioOptions,
  type ScenarioReport,
  STEERING_NAMES,
  type SteeringName,
} from './scenario/index.js';
export { type LabInterface, LabTopology, type LabTopologyOptions } from './topology.js';
export { latencyQuantileMs } from './traffic/latency.js';
export type { SideReport } from './traffic/messages.js';
export { type DayShape, loadLevel } from './traffic/profile.js';
export { LabTraffic, type LabTrafficOptions, type TrafficReport } from './traffic/traffic.js';
export { LAB_WORKLOADS, type LabWorkload, type WorkloadSpec } from './traffic/workloads.js';
