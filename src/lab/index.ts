export { type LabConfig, labConfig } from './config.js';
export {
  hostIPv4,
  hostIPv6,
  LAB_BURST,
  LAB_EXCHANGE,
  LAB_LINKS,
  LAB_TRANSIT,
  type LabLinkId,
  type LabLinkPlan,
  type LabNode,
  type LabSubnet,
  linkPlan,
} from './plan.js';
export { type LabInterface, LabTopology, type LabTopologyOptions } from './topology.js';
