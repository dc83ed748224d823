/** Answers of the API by method and path. Made by scripts/generate-console-types.mjs from the OpenAPI document; do not edit. */

export interface Answers {
  'GET /api/status': {
    gateway: string;
    mode: 'lab' | 'observe' | 'replay';
    startedMs: number;
    nowMs: number;
    interfaces: {
      name: string;
      index: number;
      mode: 'native' | 'generic' | 'tc' | 'off';
      reason?: string;
      rxPackets: number;
      rxOctets: number;
      linkId: string;
    }[];
    /**
     * every packet is somewhere
     */
    packets: {
      seen: number;
      /**
       * in records that the store acknowledged
       */
      stored: number;
      resident: number;
      residentBy: {
        [k: string]: number;
      };
      lost: number;
      lostBy: {
        stage: string;
        reason: string;
        packets: number;
        octets: number;
      }[];
      /**
       * seen − stored − resident − lost: 0 at a quiet moment
       */
      difference: number;
    };
    rate: {
      packetsPerSecond: number;
      bitsPerSecond: number;
    };
    flows: {
      active: number;
      records: number;
    };
    records: {
      written: number;
    };
    workloads: {
      workloadId: number;
      name: string;
      rateBps: number;
      flows: number;
    }[];
    forecasts: number;
    plan: {
      id: string;
      costUsd: number;
      doNothingUsd: number;
      createdMs: number;
      next: {
        atMs: number;
        words: string;
      } | null;
    } | null;
    store: {
      kind: string;
      reachable: boolean;
      spoolBytes: number;
    };
    warnings: string[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/overview': {
    status: {
      gateway: string;
      mode: 'lab' | 'observe' | 'replay';
      startedMs: number;
      nowMs: number;
      interfaces: {
        name: string;
        index: number;
        mode: 'native' | 'generic' | 'tc' | 'off';
        reason?: string;
        rxPackets: number;
        rxOctets: number;
        linkId: string;
      }[];
      /**
       * every packet is somewhere
       */
      packets: {
        seen: number;
        /**
         * in records that the store acknowledged
         */
        stored: number;
        resident: number;
        residentBy: {
          [k: string]: number;
        };
        lost: number;
        lostBy: {
          stage: string;
          reason: string;
          packets: number;
          octets: number;
        }[];
        /**
         * seen − stored − resident − lost: 0 at a quiet moment
         */
        difference: number;
      };
      rate: {
        packetsPerSecond: number;
        bitsPerSecond: number;
      };
      flows: {
        active: number;
        records: number;
      };
      records: {
        written: number;
      };
      workloads: {
        workloadId: number;
        name: string;
        rateBps: number;
        flows: number;
      }[];
      forecasts: number;
      plan: {
        id: string;
        costUsd: number;
        doNothingUsd: number;
        createdMs: number;
        next: {
          atMs: number;
          words: string;
        } | null;
      } | null;
      store: {
        kind: string;
        reachable: boolean;
        spoolBytes: number;
      };
      warnings: string[];
    };
    /**
     * the last quarter of an hour
     */
    recent: {
      startMs: number;
      stepMs: number;
      outBps: number[];
      inBps: number[];
      packetsPerSecond: number[];
    };
    links: {
      linkId: string;
      interface: string;
      network: 'private' | 'public';
      wayOut: boolean;
      tariff: string;
      capacityBps: number;
      /**
       * from the private side, mean of the last seconds
       */
      outBps: number;
      inBps: number;
      /**
       * share of the capacity that the busier direction uses
       */
      utilisation: number;
      /**
       * price of the next 10^9 octets
       */
      usdPerGb: number;
      /**
       * as forecast, up to a day; null before the first forecast
       */
      ahead: {
        createdMs: number;
        startMs: number;
        stepMs: number;
        outMedianBps: number[];
        /**
         * 95 % quantile
         */
        outUpperBps: number[];
        peakOutMedianBps: number;
        peakOutUpperBps: number;
      } | null;
    }[];
    /**
     * this month so far, UTC
     */
    month: {
      month: string;
      actualUsd: number;
      doNothingUsd: number;
      perfectUsd: number;
      savedUsd: number;
    };
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/links': {
    links: {
      linkId: string;
      interface: string;
      network: 'private' | 'public';
      wayOut: boolean;
      tariff: string;
      capacityBps: number;
      /**
       * from the private side, mean of the last seconds
       */
      outBps: number;
      inBps: number;
      /**
       * share of the capacity that the busier direction uses
       */
      utilisation: number;
      /**
       * price of the next 10^9 octets
       */
      usdPerGb: number;
      /**
       * as forecast, up to a day; null before the first forecast
       */
      ahead: {
        createdMs: number;
        startMs: number;
        stepMs: number;
        outMedianBps: number[];
        /**
         * 95 % quantile
         */
        outUpperBps: number[];
        peakOutMedianBps: number;
        peakOutUpperBps: number;
      } | null;
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/flows': {
    /**
     * what was read: a rollup, or the flow records
     */
    table: string;
    fromMs: number;
    untilMs: number;
    stepMs: number;
    groups: {
      /**
       * value of each dimension
       */
      key: {
        [k: string]: string;
      };
      /**
       * the key for people
       */
      label: string;
      octets: number;
      packets: number;
      /**
       * flow records
       */
      flows: number;
      minimumBps: number;
      averageBps: number;
      maximumBps: number;
      /**
       * 95 % quantile of the steps, silent ones counted as 0
       */
      p95Bps: number;
      /**
       * rate in each step, bit/s
       */
      bps: number[];
    }[];
    others: {
      /**
       * value of each dimension
       */
      key: {
        [k: string]: string;
      };
      /**
       * the key for people
       */
      label: string;
      octets: number;
      packets: number;
      /**
       * flow records
       */
      flows: number;
      minimumBps: number;
      averageBps: number;
      maximumBps: number;
      /**
       * 95 % quantile of the steps, silent ones counted as 0
       */
      p95Bps: number;
      /**
       * rate in each step, bit/s
       */
      bps: number[];
    };
    total: {
      /**
       * value of each dimension
       */
      key: {
        [k: string]: string;
      };
      /**
       * the key for people
       */
      label: string;
      octets: number;
      packets: number;
      /**
       * flow records
       */
      flows: number;
      minimumBps: number;
      averageBps: number;
      maximumBps: number;
      /**
       * 95 % quantile of the steps, silent ones counted as 0
       */
      p95Bps: number;
      /**
       * rate in each step, bit/s
       */
      bps: number[];
    };
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/flows/sankey': {
    fromMs: number;
    untilMs: number;
    nodes: {
      id: string;
      kind: 'link' | 'workload' | 'peer';
      value: string;
      label: string;
      octets: number;
    }[];
    links: {
      source: string;
      target: string;
      octets: number;
      averageBps: number;
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/workloads': {
    workloads: {
      workloadId: number;
      name: string;
      namedBy: 'behaviour' | 'rule' | 'user';
      service: string;
      endpoints: number;
      flows: number;
      /**
       * initiators to services, since it is known
       */
      octets: number;
      reverseOctets: number;
      packets: number;
      reversePackets: number;
      firstSeenMs: number;
      lastSeenMs: number;
      /**
       * first seen within the range, and later than those that the gateway met first
       */
      isNew: boolean;
      /**
       * both directions, the last seconds
       */
      rateBps: number;
      /**
       * mean similarity of its flows to it, −1..1; null without flows
       */
      confidence: number | null;
      /**
       * how strange its flows are to the model
       */
      reconstructionError: number;
      /**
       * population stability index of its packet sizes against its own past
       */
      sizeDrift: number;
      /**
       * it behaves differently than before, which was reported, and has not settled
       */
      hasChanged: boolean;
      recent: {
        flows: number;
        octetsOut: number;
        octetsIn: number;
        /**
         * of all octets in the range
         */
        share: number;
        /**
         * packets by size bin, both directions
         */
        packetSizes: number[];
        /**
         * gaps between packets by bin, both directions
         */
        gaps: number[];
      };
    }[];
    /**
     * upper edges (exclusive) of the size bins, octets; the last bin is open
     */
    sizeEdges: number[];
    /**
     * upper edges of the gap bins; the last bin is open
     */
    gapEdgesMicroseconds: number[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/workloads/{workloadId}': {
    workload: {
      workloadId: number;
      name: string;
      namedBy: 'behaviour' | 'rule' | 'user';
      service: string;
      endpoints: number;
      flows: number;
      /**
       * initiators to services, since it is known
       */
      octets: number;
      reverseOctets: number;
      packets: number;
      reversePackets: number;
      firstSeenMs: number;
      lastSeenMs: number;
      /**
       * first seen within the range, and later than those that the gateway met first
       */
      isNew: boolean;
      /**
       * both directions, the last seconds
       */
      rateBps: number;
      /**
       * mean similarity of its flows to it, −1..1; null without flows
       */
      confidence: number | null;
      /**
       * how strange its flows are to the model
       */
      reconstructionError: number;
      /**
       * population stability index of its packet sizes against its own past
       */
      sizeDrift: number;
      /**
       * it behaves differently than before, which was reported, and has not settled
       */
      hasChanged: boolean;
      recent: {
        flows: number;
        octetsOut: number;
        octetsIn: number;
        /**
         * of all octets in the range
         */
        share: number;
        /**
         * packets by size bin, both directions
         */
        packetSizes: number[];
        /**
         * gaps between packets by bin, both directions
         */
        gaps: number[];
      };
    };
    /**
     * keys: protocol/port/address; the first 500
     */
    endpoints: string[];
    nearest: {
      workloadId: number;
      name: string;
      similarity: number;
    }[];
    events: {
      timeMs: number;
      kind: string;
      words: string;
    }[];
    /**
     * upper edges (exclusive) of the size bins, octets; the last bin is open
     */
    sizeEdges: number[];
    /**
     * upper edges of the gap bins; the last bin is open
     */
    gapEdgesMicroseconds: number[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'POST /api/workloads/{workloadId}/label': {
    workloadId: number;
    name: string;
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'POST /api/workloads/{workloadId}/merge': {
    workloadId: number;
    name: string;
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'POST /api/workloads/{workloadId}/split': {
    workloadId: number;
    name: string;
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/workloads/{workloadId}/similar': {
    workloadId: number;
    modelId: string;
    similar: {
      gateway: string;
      workloadId: number;
      name: string;
      /**
       * cosine of the two fingerprints, −1..1
       */
      similarity: number;
      firstSeenMs: number;
      lastSeenMs: number;
      flows: number;
      /**
       * hours with traffic that its history has
       */
      historyHours: number;
      /**
       * octets in them, both directions
       */
      historyOctets: number;
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/fingerprints/labels': {
    labels: {
      workloadId: number;
      name: string;
      /**
       * its own id, and those of workloads that became part of it
       */
      workloadIds: number[];
      /**
       * keys: protocol/port/address
       */
      endpoints: string[];
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'POST /api/fingerprints/model/reload': {
    modelId: string;
    schema: string;
    trainedOn: string;
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/fingerprints/map': {
    /**
     * null: too few flows to have axes
     */
    basis: {
      /**
       * changes when the axes do
       */
      id: string;
      /**
       * share of the variance along each axis
       */
      explained: number[];
    } | null;
    points: {
      x: number;
      y: number;
      flowId: string;
      timeMs: number;
      workloadId: number;
    }[];
    workloads: {
      workloadId: number;
      name: string;
      x: number;
      y: number;
      /**
       * first seen within the range, and later than those that the gateway met first
       */
      isNew: boolean;
      sizeDrift: number;
      hasChanged: boolean;
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/forecasts': {
    forecasts: {
      seriesId: string;
      of:
        | {
            kind: 'workload';
            workloadId: number;
            name: string;
          }
        | {
            kind: 'link';
            linkId: string;
            name: string;
          };
      signal:
        | 'bandwidthOutBps'
        | 'bandwidthInBps'
        | 'packetsPerSecond'
        | 'flowsPerSecond'
        | 'cpuCores'
        | 'memoryBytes';
      /**
       * ok; learning: too little history for the bands to mean what they say; refused
       */
      status: string;
      refusal: string;
      mix: {
        model: string;
        weight: number;
        error: number | null;
      }[];
      /**
       * models that hung, crashed or failed on this series and were replaced by the others
       */
      failures: {
        model: string;
        reason: string;
      }[];
      /**
       * season, borrowed history, events and changes that it rests on
       */
      notes: string[];
      historySteps: number;
      /**
       * error on held-back history by that of repeating the season
       */
      relativeToSeasonalNaive: number | null;
      /**
       * share of held-back values below the 90 % quantile
       */
      coverageP90: number | null;
      coverageP99: number | null;
      forecast: {
        createdMs: number;
        startMs: number;
        stepMs: number;
        median: number[];
        /**
         * levels of the quantiles, 0..1
         */
        levels: number[];
        /**
         * one path a level
         */
        quantiles: number[][];
      };
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/forecasts/series': {
    seriesId: string;
    of:
      | {
          kind: 'workload';
          workloadId: number;
          name: string;
        }
      | {
          kind: 'link';
          linkId: string;
          name: string;
        };
    signal:
      | 'bandwidthOutBps'
      | 'bandwidthInBps'
      | 'packetsPerSecond'
      | 'flowsPerSecond'
      | 'cpuCores'
      | 'memoryBytes';
    /**
     * ok; learning: too little history for the bands to mean what they say; refused
     */
    status: string;
    refusal: string;
    mix: {
      model: string;
      weight: number;
      error: number | null;
    }[];
    /**
     * models that hung, crashed or failed on this series and were replaced by the others
     */
    failures: {
      model: string;
      reason: string;
    }[];
    /**
     * season, borrowed history, events and changes that it rests on
     */
    notes: string[];
    historySteps: number;
    /**
     * error on held-back history by that of repeating the season
     */
    relativeToSeasonalNaive: number | null;
    /**
     * share of held-back values below the 90 % quantile
     */
    coverageP90: number | null;
    coverageP99: number | null;
    forecast: {
      createdMs: number;
      startMs: number;
      stepMs: number;
      median: number[];
      /**
       * levels of the quantiles, 0..1
       */
      levels: number[];
      /**
       * one path a level
       */
      quantiles: number[][];
    };
    /**
     * the forecast one horizon before, for what has come since
     */
    earlier: {
      createdMs: number;
      startMs: number;
      stepMs: number;
      median: number[];
      /**
       * levels of the quantiles, 0..1
       */
      levels: number[];
      /**
       * one path a level
       */
      quantiles: number[][];
    } | null;
    /**
     * what came; null where only the store of forecasts knows the signal
     */
    history: {
      startMs: number;
      stepMs: number;
      values: number[];
    } | null;
    accuracy: {
      day: string;
      model: string;
      forecasts: number;
      meanAbsoluteError: number;
      meanActual: number;
      relativeError: number | null;
      bias: number;
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/plans': {
    plans: {
      id: string;
      createdMs: number;
      expiresMs: number;
      costUsd: number;
      doNothingUsd: number;
      expectedViolationMinutes: number;
      state: 'applied' | 'approved' | 'open' | 'expired';
      approvedBy: string | null;
      approvedMs: number | null;
    }[];
    /**
     * what is being done to the world
     */
    actuation: {
      mode: string;
      actuators: string[];
      /**
       * the plan that is applied; null = none
       */
      followingPlanId: string | null;
      lastProblem: string | null;
    };
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'POST /api/plans': {
    plan: {
      id: string;
      gateway: string;
      createdMs: number;
      expiresMs: number;
      periods: {
        startMs: number;
        durationMs: number;
      }[];
      allocations: {
        workloadId: number;
        resource: 'bandwidth' | 'cpu' | 'memory';
        target: string;
        fromMs: number;
        untilMs: number;
        /**
         * bit/s, cores or bytes
         */
        amount: number;
      }[];
      instances: {
        instanceId: string;
        fromMs: number;
        untilMs: number;
        count: number;
      }[];
      costUsd: number;
      doNothingUsd: number;
      expectedViolationMinutes: number;
      doNothingViolationMinutes: number;
      binding: {
        constraint: string;
        shadowUsdPerGbps?: number;
        words: string;
      }[];
      reasons: {
        workloadId: number;
        words: string;
      }[];
      inputs?: {
        sha256: string;
        forecastMs: number | null;
        links: {
          linkId: string;
          network: 'private' | 'public';
          capacityBps: number;
          usdPerGb: number;
          portHourUsd: number;
          healthy: boolean;
          latencyMs?: number;
          tariffId?: string;
        }[];
        workloads: number;
      };
      costInterval?: {
        lowUsd: number;
        highUsd: number;
      };
      conflicts?: string[];
      /**
       * how instances are bought, what reserving would save, and the rule for the first period
       */
      purchase?: {
        kind: 'on-demand' | 'spot';
        words: string;
        reserve?: string;
        rule?: string;
      };
      /**
       * what to lease where capacity comes in steps
       */
      circuits?: {
        linkId: string;
        mbps: number;
        fromMs: number;
        changes: boolean;
        words: string;
      }[];
      /**
       * when each instance that ran when the plan was made had been started
       */
      runningSinceMs?: number[];
      solver: {
        status: string;
        classes: number;
      };
    };
    state: 'applied' | 'approved' | 'open' | 'expired';
    approvedBy: string | null;
    approvedMs: number | null;
    /**
     * what is being done to the world
     */
    actuation: {
      mode: string;
      actuators: string[];
      /**
       * the plan that is applied; null = none
       */
      followingPlanId: string | null;
      lastProblem: string | null;
    };
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/plans/current': {
    plan: {
      id: string;
      gateway: string;
      createdMs: number;
      expiresMs: number;
      periods: {
        startMs: number;
        durationMs: number;
      }[];
      allocations: {
        workloadId: number;
        resource: 'bandwidth' | 'cpu' | 'memory';
        target: string;
        fromMs: number;
        untilMs: number;
        /**
         * bit/s, cores or bytes
         */
        amount: number;
      }[];
      instances: {
        instanceId: string;
        fromMs: number;
        untilMs: number;
        count: number;
      }[];
      costUsd: number;
      doNothingUsd: number;
      expectedViolationMinutes: number;
      doNothingViolationMinutes: number;
      binding: {
        constraint: string;
        shadowUsdPerGbps?: number;
        words: string;
      }[];
      reasons: {
        workloadId: number;
        words: string;
      }[];
      inputs?: {
        sha256: string;
        forecastMs: number | null;
        links: {
          linkId: string;
          network: 'private' | 'public';
          capacityBps: number;
          usdPerGb: number;
          portHourUsd: number;
          healthy: boolean;
          latencyMs?: number;
          tariffId?: string;
        }[];
        workloads: number;
      };
      costInterval?: {
        lowUsd: number;
        highUsd: number;
      };
      conflicts?: string[];
      /**
       * how instances are bought, what reserving would save, and the rule for the first period
       */
      purchase?: {
        kind: 'on-demand' | 'spot';
        words: string;
        reserve?: string;
        rule?: string;
      };
      /**
       * what to lease where capacity comes in steps
       */
      circuits?: {
        linkId: string;
        mbps: number;
        fromMs: number;
        changes: boolean;
        words: string;
      }[];
      /**
       * when each instance that ran when the plan was made had been started
       */
      runningSinceMs?: number[];
      solver: {
        status: string;
        classes: number;
      };
    };
    state: 'applied' | 'approved' | 'open' | 'expired';
    approvedBy: string | null;
    approvedMs: number | null;
    /**
     * what is being done to the world
     */
    actuation: {
      mode: string;
      actuators: string[];
      /**
       * the plan that is applied; null = none
       */
      followingPlanId: string | null;
      lastProblem: string | null;
    };
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/plans/{planId}': {
    plan: {
      id: string;
      gateway: string;
      createdMs: number;
      expiresMs: number;
      periods: {
        startMs: number;
        durationMs: number;
      }[];
      allocations: {
        workloadId: number;
        resource: 'bandwidth' | 'cpu' | 'memory';
        target: string;
        fromMs: number;
        untilMs: number;
        /**
         * bit/s, cores or bytes
         */
        amount: number;
      }[];
      instances: {
        instanceId: string;
        fromMs: number;
        untilMs: number;
        count: number;
      }[];
      costUsd: number;
      doNothingUsd: number;
      expectedViolationMinutes: number;
      doNothingViolationMinutes: number;
      binding: {
        constraint: string;
        shadowUsdPerGbps?: number;
        words: string;
      }[];
      reasons: {
        workloadId: number;
        words: string;
      }[];
      inputs?: {
        sha256: string;
        forecastMs: number | null;
        links: {
          linkId: string;
          network: 'private' | 'public';
          capacityBps: number;
          usdPerGb: number;
          portHourUsd: number;
          healthy: boolean;
          latencyMs?: number;
          tariffId?: string;
        }[];
        workloads: number;
      };
      costInterval?: {
        lowUsd: number;
        highUsd: number;
      };
      conflicts?: string[];
      /**
       * how instances are bought, what reserving would save, and the rule for the first period
       */
      purchase?: {
        kind: 'on-demand' | 'spot';
        words: string;
        reserve?: string;
        rule?: string;
      };
      /**
       * what to lease where capacity comes in steps
       */
      circuits?: {
        linkId: string;
        mbps: number;
        fromMs: number;
        changes: boolean;
        words: string;
      }[];
      /**
       * when each instance that ran when the plan was made had been started
       */
      runningSinceMs?: number[];
      solver: {
        status: string;
        classes: number;
      };
    };
    state: 'applied' | 'approved' | 'open' | 'expired';
    approvedBy: string | null;
    approvedMs: number | null;
    /**
     * what is being done to the world
     */
    actuation: {
      mode: string;
      actuators: string[];
      /**
       * the plan that is applied; null = none
       */
      followingPlanId: string | null;
      lastProblem: string | null;
    };
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/plans/{planId}/diff': {
    planId: string;
    /**
     * null: there is nothing to compare with
     */
    againstId: string | null;
    costUsd: number;
    violationMinutes: number;
    instanceHours: number;
    changes: {
      workloadId: number;
      name: string;
      linkId: string;
      beforeBps: number;
      afterBps: number;
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/plans/{planId}/explain': {
    planId: string;
    headline: string;
    binding: string[];
    conflicts: string[];
    reasons: {
      workloadId: number;
      words: string;
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/plans/{planId}/preview': {
    planId: string;
    steps: {
      actuator: string;
      action: string;
      target: string;
      words: string;
    }[];
    /**
     * what actuators cannot do of the plan, and why
     */
    refused: {
      actuator: string;
      reason: string;
    }[];
    /**
     * reasons for which the policy would refuse it now
     */
    against: string[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'POST /api/plans/{planId}/approve': {
    plan: {
      id: string;
      gateway: string;
      createdMs: number;
      expiresMs: number;
      periods: {
        startMs: number;
        durationMs: number;
      }[];
      allocations: {
        workloadId: number;
        resource: 'bandwidth' | 'cpu' | 'memory';
        target: string;
        fromMs: number;
        untilMs: number;
        /**
         * bit/s, cores or bytes
         */
        amount: number;
      }[];
      instances: {
        instanceId: string;
        fromMs: number;
        untilMs: number;
        count: number;
      }[];
      costUsd: number;
      doNothingUsd: number;
      expectedViolationMinutes: number;
      doNothingViolationMinutes: number;
      binding: {
        constraint: string;
        shadowUsdPerGbps?: number;
        words: string;
      }[];
      reasons: {
        workloadId: number;
        words: string;
      }[];
      inputs?: {
        sha256: string;
        forecastMs: number | null;
        links: {
          linkId: string;
          network: 'private' | 'public';
          capacityBps: number;
          usdPerGb: number;
          portHourUsd: number;
          healthy: boolean;
          latencyMs?: number;
          tariffId?: string;
        }[];
        workloads: number;
      };
      costInterval?: {
        lowUsd: number;
        highUsd: number;
      };
      conflicts?: string[];
      /**
       * how instances are bought, what reserving would save, and the rule for the first period
       */
      purchase?: {
        kind: 'on-demand' | 'spot';
        words: string;
        reserve?: string;
        rule?: string;
      };
      /**
       * what to lease where capacity comes in steps
       */
      circuits?: {
        linkId: string;
        mbps: number;
        fromMs: number;
        changes: boolean;
        words: string;
      }[];
      /**
       * when each instance that ran when the plan was made had been started
       */
      runningSinceMs?: number[];
      solver: {
        status: string;
        classes: number;
      };
    };
    state: 'applied' | 'approved' | 'open' | 'expired';
    approvedBy: string | null;
    approvedMs: number | null;
    /**
     * what is being done to the world
     */
    actuation: {
      mode: string;
      actuators: string[];
      /**
       * the plan that is applied; null = none
       */
      followingPlanId: string | null;
      lastProblem: string | null;
    };
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'POST /api/plans/{planId}/apply': {
    plan: {
      id: string;
      gateway: string;
      createdMs: number;
      expiresMs: number;
      periods: {
        startMs: number;
        durationMs: number;
      }[];
      allocations: {
        workloadId: number;
        resource: 'bandwidth' | 'cpu' | 'memory';
        target: string;
        fromMs: number;
        untilMs: number;
        /**
         * bit/s, cores or bytes
         */
        amount: number;
      }[];
      instances: {
        instanceId: string;
        fromMs: number;
        untilMs: number;
        count: number;
      }[];
      costUsd: number;
      doNothingUsd: number;
      expectedViolationMinutes: number;
      doNothingViolationMinutes: number;
      binding: {
        constraint: string;
        shadowUsdPerGbps?: number;
        words: string;
      }[];
      reasons: {
        workloadId: number;
        words: string;
      }[];
      inputs?: {
        sha256: string;
        forecastMs: number | null;
        links: {
          linkId: string;
          network: 'private' | 'public';
          capacityBps: number;
          usdPerGb: number;
          portHourUsd: number;
          healthy: boolean;
          latencyMs?: number;
          tariffId?: string;
        }[];
        workloads: number;
      };
      costInterval?: {
        lowUsd: number;
        highUsd: number;
      };
      conflicts?: string[];
      /**
       * how instances are bought, what reserving would save, and the rule for the first period
       */
      purchase?: {
        kind: 'on-demand' | 'spot';
        words: string;
        reserve?: string;
        rule?: string;
      };
      /**
       * what to lease where capacity comes in steps
       */
      circuits?: {
        linkId: string;
        mbps: number;
        fromMs: number;
        changes: boolean;
        words: string;
      }[];
      /**
       * when each instance that ran when the plan was made had been started
       */
      runningSinceMs?: number[];
      solver: {
        status: string;
        classes: number;
      };
    };
    state: 'applied' | 'approved' | 'open' | 'expired';
    approvedBy: string | null;
    approvedMs: number | null;
    /**
     * what is being done to the world
     */
    actuation: {
      mode: string;
      actuators: string[];
      /**
       * the plan that is applied; null = none
       */
      followingPlanId: string | null;
      lastProblem: string | null;
    };
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
    applied: {
      actuator: string;
      action: string;
      target: string;
      words: string;
    }[];
    /**
     * what actuators cannot do of the plan, and why
     */
    refused: {
      actuator: string;
      reason: string;
    }[];
  };
  'POST /api/plans/rollback': {
    planId: string;
    /**
     * what is being done to the world
     */
    actuation: {
      mode: string;
      actuators: string[];
      /**
       * the plan that is applied; null = none
       */
      followingPlanId: string | null;
      lastProblem: string | null;
    };
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/cost/ledger': {
    days: {
      day: string;
      actualUsd: number;
      doNothingUsd: number;
      /**
       * the same demand with perfect foresight
       */
      perfectUsd: number;
      regretUsd: number;
      savedUsd: number;
      /**
       * instances’ part of the actual cost
       */
      instancesUsd: number;
      violationMinutes: number;
      doNothingViolationMinutes: number;
      gb: number;
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/cost/month': {
    month: string;
    links: {
      linkId: string;
      tariffId: string;
      startMs: number;
      endMs: number;
      expectedSamples: number;
      elapsedSamples: number;
      /**
       * samples with traffic, highest first
       */
      outBps: number[];
      inBps: number[];
      octetsOut: number;
      octetsIn: number;
      outP95Bps: number;
      inP95Bps: number;
      /**
       * null: the tariff is not billed by percentile
       */
      burstable: {
        percentile: number;
        rule: 'max' | 'sum' | 'out';
        commitBps: number;
        measuredBps: number;
        billedBps: number;
        usd: number;
        freeSamples: number;
        /**
         * samples that may still exceed the commit unbilled
         */
        freeSamplesLeft: number;
      } | null;
    }[];
    lines: {
      linkId: string;
      tariffId: string;
      item: string;
      quantity: number;
      unit: string;
      unitPriceUsd: number;
      amountUsd: number;
      words: string;
    }[];
    totalUsd: number;
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /livez': {
    status: string;
  };
  'GET /readyz': {
    status: string;
    reasons?: {
      [k: string]: string;
    };
  };
  'GET /api/health': {
    status: string;
    reasons: {
      [k: string]: string;
    };
    startedMs: number;
    nowMs: number;
    /**
     * every packet is somewhere
     */
    packets: {
      seen: number;
      /**
       * in records that the store acknowledged
       */
      stored: number;
      resident: number;
      residentBy: {
        [k: string]: number;
      };
      lost: number;
      lostBy: {
        stage: string;
        reason: string;
        packets: number;
        octets: number;
      }[];
      /**
       * seen − stored − resident − lost: 0 at a quiet moment
       */
      difference: number;
    };
    stages: {
      stage: string;
      words: string;
      /**
       * packets that went through
       */
      passed: number;
      passedPerSecond: number;
      /**
       * packets that are in it
       */
      resident: number;
      lost: number;
    }[];
    store: {
      kind: string;
      reachable: boolean;
      spoolBytes: number;
    };
    warnings: string[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/doctor': {
    findings: {
      id: string;
      result: 'ok' | 'info' | 'warning' | 'blocker' | 'unknown';
      words: string;
      remedy: string;
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'GET /api/audit': {
    entries: {
      timeMs: number;
      action: string;
      by: string;
      role: string;
      from: string;
      outcome: string;
      words: string;
    }[];
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
  'POST /api/sql': {
    columns: {
      name: string;
      type: string;
    }[];
    /**
     * 64-bit integers as strings
     */
    rows: unknown[][];
    /**
     * there are more rows than are given out
     */
    truncated: boolean;
    elapsedMs: number;
    /**
     * the statements behind the numbers, runnable as they stand; empty: counters of the gateway itself
     */
    sql: string[];
  };
}
