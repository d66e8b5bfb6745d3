// Whether somebody who asks again and again learns from the clock which clients exist: 10,000 wrong secrets of a client that
// does, and 10,000 of one that does not, in pairs and in random order; then the same at a broker in which a difference is planted.
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { freePorts, startChildServer } from '../../support/child_server.ts'
import type { ChildServer } from '../../support/child_server.ts'
import { answers } from '../contestants.ts'
import { judge } from '../verdict.ts'
import type { Row } from '../verdict.ts'
import { benchIssuer, sallyportBenchConfig, sallyportBenchEnv } from '../world.ts'
import type { BenchWorld } from '../world.ts'
import { distinguish, seededBits } from './indistinguishable.ts'
import type { Distinction, Pair } from './indistinguishable.ts'

export type GuessTimes = {
  readonly pairs: number
  readonly real: Distinction
  readonly plantedMicroseconds: number
  readonly planted: Distinction
}

/** Less than one check of a generated secret costs with all that is around it, and a thirtieth of a request. */
const PLANTED_MICROSECONDS = 5
const WARM_UP = 2000

export async function measureGuesses(world: BenchWorld, pairs: number): Promise<GuessTimes> {
  return {
    pairs,
    real: await measureAt(world, pairs, 0),
    plantedMicroseconds: PLANTED_MICROSECONDS,
    planted: await measureAt(world, pairs, PLANTED_MICROSECONDS),
  }
}

async function measureAt(world: BenchWorld, pairs: number, microseconds: number): Promise<Distinction> {
  const folder = join(world.folder, `guess-${microseconds}`)
  mkdirSync(folder, { recursive: true })
  const [port = 0, opsPort = 0] = await freePorts(2)
  const server = await startGuessServer(world, { folder, port, opsPort, microseconds })
  try {
    return distinguish(await sample(port, pairs), seededBits(pairs))
  } finally {
    await server.stop()
  }
}

type Place = {
  readonly folder: string
  readonly port: number
  readonly opsPort: number
  readonly microseconds: number
}

function startGuessServer(world: BenchWorld, place: Place): Promise<ChildServer> {
  const { folder, port, opsPort, microseconds } = place
  const file = join(folder, 'sallyport.yaml')
  const config = sallyportBenchConfig(world, 'ES256', `127.0.0.1:${port}`, `127.0.0.1:${opsPort}`, folder)
  writeFileSync(file, stringify(config))
  const script = join(import.meta.dirname, 'guess_server.ts')
  return startChildServer({
    name: `broker with ${microseconds} us planted`,
    command: process.execPath,
    args: [script, file, String(microseconds)],
    cwd: folder,
    env: { ...process.env, ...sallyportBenchEnv },
    ready: () => answers(`http://127.0.0.1:${port}${new URL(benchIssuer).pathname}/keys`),
  })
}

/** Microseconds at the client: first the client that does not exist, second the one with a wrong secret. */
async function sample(port: number, pairs: number): Promise<readonly Pair[]> {
  const ask = await openAsker(port)
  const [unknown, wrong] = [requestOf('xx'), requestOf('ci')]
  const bits = seededBits(1)
  const measured: Pair[] = []
  for (let count = 0; count < pairs + WARM_UP; count += 1) {
    // Whoever comes second finds warmer caches, so chance says who does.
    const isUnknownFirst = (bits() & 1) === 0
    const one = await ask.time(isUnknownFirst ? unknown : wrong)
    const two = await ask.time(isUnknownFirst ? wrong : unknown)
    if (count >= WARM_UP)
      measured.push(isUnknownFirst ? { first: one, second: two } : { first: two, second: one })
  }
  ask.end()
  return measured
}

/** Ids of one length, and one secret: to send it again is no further guess, so nobody is held off. */
function requestOf(clientId: string): string {
  const body = 'grant_type=client_credentials'
  const basic = Buffer.from(`${clientId}:a-wrong-secret-of-some-length-0123456789`).toString('base64')
  return [
    `POST ${new URL(benchIssuer).pathname}/token HTTP/1.1`,
    'Host: broker.example.test',
    `Authorization: Basic ${basic}`,
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n')
}

type Asker = { readonly time: (request: string) => Promise<number>; readonly end: () => void }

/** One kept connection. Throws where the answer is not the one that both get. */
async function openAsker(port: number): Promise<Asker> {
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.setEncoding('latin1')
  let waiting = Promise.withResolvers<number>()
  let beganAt = 0n
  socket.on('data', (chunk: string) => {
    const took = Number(process.hrtime.bigint() - beganAt) / 1000
    if (chunk.startsWith('HTTP/1.1 401 ') && chunk.includes('"invalid_client"')) waiting.resolve(took)
    else waiting.reject(new Error(`not a wrong client's answer: ${chunk.slice(0, 300)}`))
  })
  socket.on('error', (error) => waiting.reject(error))
  return {
    time(request) {
      waiting = Promise.withResolvers<number>()
      beganAt = process.hrtime.bigint()
      socket.write(request, 'latin1')
      return waiting.promise
    },
    end: () => socket.destroy(),
  }
}

export function judgeGuesses({ pairs, real, planted, plantedMicroseconds }: GuessTimes): readonly Row[] {
  const found = `the same with ${plantedMicroseconds} us planted, which must be found`
  return [
    rowOf(`unknown client against wrong secret, ${pairs} pairs`, real, !real.isFound, '<= 1x'),
    rowOf(found, planted, planted.isFound, '> 1x'),
  ]
}

function rowOf(title: string, found: Distinction, isRight: boolean, goal: string): Row {
  return {
    title,
    figure: 'AUC - 0.5',
    ours: `${(found.auc - 0.5).toFixed(4)} (median ${found.medianDifference.toFixed(2)} us)`,
    theirs: `${found.bound.toFixed(4)} by chance, 999 of 1,000`,
    ratio: Math.abs(found.auc - 0.5) / found.bound,
    cpuRatio: undefined,
    goal,
    floor: goal,
    verdict: judge(isRight ? 1 : 0, 1, 1, 'atLeast'),
    noisy: false,
  }
}
