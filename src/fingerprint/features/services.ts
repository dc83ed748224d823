/**
 * Ports of well-known services below 49152, the numbers that IANA assigned and that common systems list in
 * their services file. Only used to tell which of two ports is the service's.
 */
const KNOWN_PORTS: readonly number[] = [
  1, 2, 4, 6, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 43, 49, 53, 67, 68, 69, 70, 79, 80, 88, 102,
  104, 106, 110, 111, 113, 119, 123, 135, 137, 138, 139, 143, 161, 162, 163, 164, 174, 177, 179, 199, 209,
  210, 213, 319, 320, 345, 346, 369, 370, 371, 389, 427, 443, 444, 445, 464, 465, 487, 500, 502, 512, 513,
  514, 515, 517, 518, 520, 538, 540, 543, 544, 546, 547, 548, 554, 563, 587, 607, 623, 628, 631, 636, 646,
  655, 706, 749, 750, 751, 752, 754, 775, 777, 779, 783, 853, 871, 873, 989, 990, 992, 993, 995, 1080, 1093,
  1094, 1099, 1127, 1178, 1194, 1210, 1236, 1313, 1314, 1352, 1433, 1434, 1524, 1645, 1646, 1649, 1677, 1701,
  1812, 1813, 1883, 1900, 2000, 2049, 2086, 2101, 2102, 2103, 2104, 2119, 2121, 2135, 2401, 2404, 2430, 2431,
  2432, 2433, 2583, 2600, 2601, 2602, 2603, 2604, 2605, 2606, 2607, 2608, 2628, 2792, 2811, 2947, 3050, 3130,
  3205, 3260, 3283, 3306, 3389, 3478, 3493, 3632, 3689, 3690, 4031, 4094, 4190, 4353, 4369, 4373, 4460, 4500,
  4557, 4559, 4569, 4691, 4789, 4840, 4899, 4949, 5060, 5061, 5222, 5269, 5308, 5349, 5353, 5355, 5432, 5555,
  5556, 5666, 5667, 5671, 5672, 5680, 5683, 5900, 6000, 6001, 6002, 6003, 6004, 6005, 6006, 6007, 6081, 6346,
  6347, 6379, 6444, 6445, 6446, 6514, 6566, 6667, 6696, 6697, 7000, 7001, 7002, 7003, 7004, 7005, 7007, 7008,
  7009, 7100, 8021, 8080, 8081, 8088, 8140, 8443, 8554, 8883, 8990, 9092, 9098, 9101, 9102, 9103, 9200, 9418,
  9667, 9673, 10000, 10050, 10051, 10080, 10081, 10082, 10083, 10809, 11112, 11211, 11371, 17001, 17002,
  17003, 17004, 17500, 19302, 20000, 22125, 22128, 22273, 24554, 25565, 27017, 27374, 30865, 34964, 44818,
  47808,
];

/** First port of the dynamic range, RFC 6335 section 6: says nothing about a service. */
export const FIRST_DYNAMIC_PORT = 49152;
/** First port that common systems hand out to clients. */
const FIRST_CLIENT_PORT = 32768;
const FIRST_USER_PORT = 1024;
const PORTS = 65536;

const destinationBonus = 1.5;

/** How much each port number looks like a service's: known 3, privileged 2, below the client range 1. */
const SCORE: Float32Array = (() => {
  const score = new Float32Array(PORTS);
  for (const port of KNOWN_PORTS) score[port] = 3;
  for (let port = 1; port < FIRST_CLIENT_PORT; port += 1) score[port]! += port < FIRST_USER_PORT ? 3 : 1;
  return score;
})();

/** A port that belongs to a service by registration or by being privileged. */
export const isServicePort = (port: number): boolean => SCORE[port]! >= 3;

/** True when the destination's port is the service's, false when the source's is. */
export const serviceIsDestination = (sourcePort: number, destinationPort: number): boolean =>
  SCORE[destinationPort]! + destinationBonus >= SCORE[sourcePort]!;
