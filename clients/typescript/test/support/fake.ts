// A server with answers that a test decides.

import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

import { decodeBody, encodeFrame, FrameReader } from "../../dist/codec/index.js";
import type { Fields, ReplyLayout, RequestLayout } from "../../dist/codec/layout.js";
import { COMMON, REPLIES, REQUESTS } from "../../dist/generated/messages.js";

const LAYOUTS = new Map(Object.values(REQUESTS).map((layout) => [layout.type, layout]));
const REPLIES_BY_NAME = new Map([...REPLIES.values()].map((layout) => [layout.name, layout]));

export interface Received {
  name: string;
  id: number;
  fields: Fields;
  socket: Socket;
  reply(name: string, fields: Fields): void;
}

/** Encodes a reply. */
export function reply(id: number, name: string, fields: Fields): Buffer {
  return encodeFrame(REPLIES_BY_NAME.get(name) as ReplyLayout, id, fields);
}

export class Fake {
  readonly #server: Server;
  readonly sockets = new Set<Socket>();
  /** All requests except pings, which are answered at once. */
  readonly received: Received[] = [];
  pong: Fields = {};
  /** `true` if pings are not answered. */
  silent = false;
  connections = 0;

  constructor(handle: (request: Received) => void = () => {}) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.connections += 1;
      this.sockets.add(socket);
      const reader = new FrameReader();
      socket.on("error", () => {});
      socket.on("close", () => this.sockets.delete(socket));
      socket.on("data", (chunk) => {
        for (const { type, id, body } of reader.push(chunk)) {
          const layout = LAYOUTS.get(type) as RequestLayout;
          if (layout.name === "Ping") {
            if (!this.silent) socket.write(reply(id, "Pong", this.pong));
            continue;
          }
          const request: Received = {
            name: layout.name,
            id,
            fields: decodeBody(layout, body, COMMON),
            socket,
            reply: (name, fields) => socket.write(reply(id, name, fields)),
          };
          this.received.push(request);
          handle(request);
        }
      });
    });
  }

  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  count(name: string): number {
    return this.received.filter((request) => request.name === name).length;
  }

  /** Closes every connection. */
  drop(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.drop();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
