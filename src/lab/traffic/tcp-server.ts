import { createServer, type Server, type Socket } from 'node:net';
import type { LabLinkId } from '../plan.js';
import type { SideReport } from './messages.js';
import { emptyReport, type TrafficServer } from './side.js';
import type { WorkloadSpec } from './workloads.js';

/** A TCP server on every address of a workload; what it does with a connection is the subclass's. */
export abstract class TcpServer implements TrafficServer {
  readonly report: SideReport;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(
    node: LabLinkId,
    protected readonly spec: WorkloadSpec,
  ) {
    this.report = emptyReport(node, spec, 'server');
  }

  async listen(): Promise<void> {
    for (const host of this.spec.serverAddresses) {
      const server = createServer({ noDelay: true }, (socket) => {
        this.report.connections += 1;
        this.#sockets.add(socket);
        socket.on('error', () => {
          this.report.errors += 1;
        });
        socket.on('close', () => this.#sockets.delete(socket));
        this.accept(socket);
      });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port: this.spec.port, backlog: 256 }, resolve);
      });
      this.#servers.push(server);
    }
  }

  protected abstract accept(socket: Socket): void;

  tick(_nowMs: number): void {}

  stop(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.end();
  }
}
