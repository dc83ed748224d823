/**
 * The program of a prober: sends and receives in one namespace of the lab, with times from the monotonic clock, which
 * all processes of a machine share. Started and asked by {@link Prober}.
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import type { ProberAnswer, ProberQuestion, Sunk } from './prober.js';

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const arrivals: number[] = [];
const sunk: Sunk[] = [];
let pouring: Socket | undefined;
let echoing: NodeJS.Timeout | undefined;
let flowing: NodeJS.Timeout | undefined;
const chats: { readonly socket: Socket; sent: number; received: number; server: string; broken: boolean }[] =
  [];

function receive(host: string, port: number): Promise<true> {
  return new Promise((resolve, reject) => {
    const socket: DatagramSocket = createSocket('udp4');
    socket.on('message', () => arrivals.push(nowMs()));
    socket.once('error', reject);
    socket.bind(port, host, () => resolve(true));
  });
}

/** One datagram from a fresh port each: every packet is the first of a new flow. Ports are bound ahead of their use. */
function flow(host: string, port: number, localAddress: string, perSecond: number): true {
  const ready: DatagramSocket[] = [];
  let binding = 0;
  let owed = 0;
  let last = nowMs();
  const prepare = (): void => {
    while (ready.length + binding < perSecond / 20) {
      binding += 1;
      const socket = createSocket('udp4');
      socket.on('error', () => undefined);
      socket.bind({ address: localAddress }, () => {
        binding -= 1;
        ready.push(socket);
      });
    }
  };
  prepare();
  flowing = setInterval(() => {
    const now = nowMs();
    owed = Math.min(owed + ((now - last) / 1000) * perSecond, perSecond / 20);
    last = now;
    for (; owed >= 1; owed -= 1) {
      const socket = ready.shift();
      socket?.send('x', port, host, () => socket.close());
    }
    prepare();
  }, 1);
  return true;
}

/** Says its name to whoever connects, then echoes. */
function serve(host: string, port: number, name: string): Promise<true> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.write(name.padEnd(16));
      socket.on('error', () => undefined);
      socket.pipe(socket);
    });
    server.once('error', reject);
    server.listen(port, host, () => resolve(true));
  });
}

/** Opens `count` connections that then send `perSecond` messages of `octets` each, evenly. */
async function chat(
  host: string,
  port: number,
  localAddress: string,
  count: number,
  perSecond: number,
  octets: number,
): Promise<true> {
  const message = Buffer.alloc(octets, 97);
  await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect({ host, port, localAddress, noDelay: true });
      const one = { socket, sent: 0, received: -16, server: '', broken: false };
      chats.push(one);
      await new Promise<void>((resolve) => {
        socket.on('data', (chunk) => {
          if (one.server === '') one.server = chunk.toString('latin1', 0, 16).trim();
          one.received += chunk.length;
          resolve();
        });
        socket.on('error', () => {
          one.broken = true;
          resolve();
        });
      });
    }),
  );
  let owed = 0;
  let next = 0;
  let last = nowMs();
  echoing = setInterval(() => {
    const now = nowMs();
    owed = Math.min(owed + ((now - last) / 1000) * perSecond * count, count * 4);
    last = now;
    for (; owed >= 1; owed -= 1) {
      const one = chats[next % chats.length]!;
      next += 1;
      if (one.broken) continue;
      one.socket.write(message);
      one.sent += message.length;
    }
  }, 2);
  return true;
}

async function endChat(): Promise<{
  connections: number;
  broken: number;
  unanswered: number;
  servers: string[];
}> {
  clearInterval(echoing);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const result = {
    connections: chats.length,
    broken: chats.filter((one) => one.broken).length,
    unanswered: chats.reduce((sum, one) => sum + one.sent - one.received, 0),
    servers: chats.map((one) => one.server),
  };
  for (const { socket } of chats) socket.destroy();
  chats.length = 0;
  return result;
}

/** Takes all that comes. */
function sink(host: string, port: number): Promise<true> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('data', (chunk) => sunk.push([nowMs(), chunk.length]));
      socket.on('error', () => undefined);
    });
    server.once('error', reject);
    server.listen(port, host, () => resolve(true));
  });
}

/** Sends as fast as the network takes it, until told to end. */
function pour(host: string, port: number, localAddress: string): true {
  const block = Buffer.alloc(65_536, 97);
  const socket = connect({ host, port, localAddress });
  const more = (): void => {
    while (pouring === socket && socket.write(block));
  };
  pouring = socket;
  socket.on('connect', more);
  socket.on('drain', more);
  socket.on('error', () => undefined);
  return true;
}

async function answer(question: ProberQuestion): Promise<unknown> {
  switch (question.ask) {
    case 'receive':
      return receive(question.host, question.port);
    case 'arrivals':
      return arrivals.splice(0);
    case 'flow':
      return flow(question.host, question.port, question.localAddress, question.perSecond);
    case 'end-flow':
      clearInterval(flowing);
      return true;
    case 'serve':
      return serve(question.host, question.port, question.name);
    case 'chat':
      return chat(
        question.host,
        question.port,
        question.localAddress,
        question.count,
        question.perSecond,
        question.octets,
      );
    case 'end-chat':
      return endChat();
    case 'sink':
      return sink(question.host, question.port);
    case 'sunk':
      return sunk.splice(0);
    case 'pour':
      return pour(question.host, question.port, question.localAddress);
    case 'end-pour':
      pouring?.destroy();
      pouring = undefined;
      return true;
  }
}

process.on('message', ({ id, question }: { id: number; question: ProberQuestion }) => {
  answer(question).then(
    (value) => process.send?.({ id, value } satisfies ProberAnswer),
    (error: unknown) => process.send?.({ id, error: String(error) } satisfies ProberAnswer),
  );
});
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));
