// How many connections there may be, in all and of one caller, how much of bodies that have not come, and how many answers to
// requests that were sent at once. Whoever takes too much makes room, so that one caller who opens connections, sends bodies
// byte by byte or reads no answer shuts nobody else out. In memory; docs/architecture.md has the bounds.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { callerNetwork } from './client_address.ts'
import { MAX_CONNECTIONS } from './server_limits.ts'

export type ConnectionLimits = {
  readonly max: number
  /** Of one IPv4 address or IPv6 /64; not of a proxy, behind which everybody is. */
  readonly maxOfOne: number
  /** Bytes of all bodies of more than 4 KB that are not complete. */
  readonly maxBodyBytes: number
  /** Answers that wait for an earlier one on their connection, on all of them; each takes 3 KB. */
  readonly maxPipelined: number
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  max: MAX_CONNECTIONS,
  maxOfOne: MAX_CONNECTIONS / 2,
  maxBodyBytes: 32 * 1024 * 1024,
  maxPipelined: 5000,
}

/** 10,000 connections with a body of this length each are 40 MB. Most requests are shorter, and cost nothing here. */
const SMALL_BODY_BYTES = 4096

/** Why: there are too many connections, too many of one caller, or what came or went of this one kept room from others. */
export type Closed = 'all' | 'one_caller' | 'slow_body' | 'pipelined'

export type ConnectionGateOptions = {
  readonly limits: ConnectionLimits
  /** Whether this socket address is one of the configured proxies. */
  readonly isProxy: (address: string) => boolean
  readonly onClosed: (why: Closed) => void
}

/** Closes what is too much of one caller as soon as it is opened. */
export function limitConnections(
  server: Server | HttpsServer,
  { limits, isProxy, onClosed }: ConnectionGateOptions,
): void {
  const open = new Map<string, number>()
  server.maxConnections = limits.max
  server.on('drop', () => onClosed('all'))
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    if (isProxy(address)) return
    const caller = callerNetwork(address)
    const count = open.get(caller) ?? 0
    if (count >= limits.maxOfOne) {
      onClosed('one_caller')
      socket.destroy()
      return
    }
    open.set(caller, count + 1)
    socket.once('close', () => {
      const left = (open.get(caller) ?? 1) - 1
      if (left === 0) open.delete(caller)
      else open.set(caller, left)
    })
  })
}

type RoomOptions = Pick<ConnectionGateOptions, 'limits' | 'onClosed'>

export type BodyRoom = {
  /** Counts what comes of `body` until its end. `length`: the Content-Length; `undefined` where none is said. */
  readonly count: (body: Readable, socket: Socket, length: number | undefined) => void
}

/** A body that has been coming for longer than all others is cut off when there is no room for the next one. */
export function createBodyRoom({ limits, onClosed }: RoomOptions): BodyRoom {
  const room = createRoom(limits.maxBodyBytes, () => onClosed('slow_body'))
  return {
    count(body, socket, length) {
      if (length !== undefined && length <= SMALL_BODY_BYTES) return
      const coming = room.enter(socket)
      body.on('data', (chunk: Buffer | string) => room.take(coming, coming.amount + chunk.length))
      body.once('end', () => room.leave(coming))
      body.once('close', () => room.leave(coming))
    },
  }
}

/**
 * Cuts off who asks on without waiting for answers when too many of those queue: one packet has room for 1,500 requests, whose
 * answers are megabytes with all that belongs to them, for as long as they are not read. To be called when every other
 * listener of `request` is there.
 */
export function limitPipelining(server: Server | HttpsServer, { limits, onClosed }: RoomOptions): void {
  const room = createRoom(limits.maxPipelined, () => onClosed('pipelined'))
  const waiting = new WeakMap<Socket, Holding>()
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    // An answer has no socket yet while another one is on its way there: nobody who waits for answers sees that.
    if (response.socket !== null) return
    const holding = waiting.get(socket) ?? room.enter(socket)
    waiting.set(socket, holding)
    room.take(holding, holding.amount + 1)
    response.once('close', () => {
      room.take(holding, holding.amount - 1)
      if (holding.amount > 0) return
      room.leave(holding)
      waiting.delete(socket)
    })
  })
}

type Room = {
  readonly enter: (socket: Socket) => Holding
  /** `amount`: what it holds now. Closes who came first until all have room. */
  readonly take: (holding: Holding, amount: number) => void
  readonly leave: (holding: Holding) => void
}

class Holding {
  amount = 0
  readonly socket: Socket
  constructor(socket: Socket) {
    this.socket = socket
  }
}

function createRoom(max: number, onClosed: () => void): Room {
  // In the order in which they came.
  const inside = new Set<Holding>()
  let total = 0
  const leave = (holding: Holding): void => {
    if (inside.delete(holding)) total -= holding.amount
  }
  return {
    enter(socket) {
      const holding = new Holding(socket)
      inside.add(holding)
      return holding
    },
    take(holding, amount) {
      if (!inside.has(holding)) return
      total += amount - holding.amount
      holding.amount = amount
      for (const oldest of inside) {
        if (total <= max) return
        leave(oldest)
        oldest.socket.destroy()
        onClosed()
      }
    },
    leave,
  }
}
