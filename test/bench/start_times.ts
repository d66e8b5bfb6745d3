// Start to ready, and the time of one CLI call, each beside the least a Node process costs here.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort, startChildServer } from '../support/child_server.ts'
import { answers, entryOf, startContestant } from './contestants.ts'
import { median } from './measure.ts'
import type { BenchWorld } from './world.ts'

export type StartTimes = {
  /** Milliseconds from spawn to the first answer of `/keys`, keys present. */
  readonly packed: number
  readonly source: number
  readonly dex: number
  readonly bareServer: number
}

export type CliTimes = {
  /** Milliseconds of `exchange --help`. */
  readonly packed: number
  readonly source: number
  readonly bareNode: number
}

export async function measureStarts(world: BenchWorld, runs: number): Promise<StartTimes> {
  // The first start makes keys and store; it is not measured.
  await stopped(await startContestant('sallyport ES256', world))
  const times = { packed: [] as number[], source: [] as number[], dex: [] as number[], bare: [] as number[] }
  for (let run = 0; run < runs; run += 1) {
    times.bare.push(await stopped(await startBareServer()))
    times.packed.push(await stopped(await startContestant('sallyport ES256', world, { form: 'packed' })))
    times.source.push(await stopped(await startContestant('sallyport ES256', world, { form: 'source' })))
    times.dex.push(await stopped(await startContestant('dex ES256', world)))
  }
  return {
    packed: median(times.packed),
    source: median(times.source),
    dex: median(times.dex),
    bareServer: median(times.bare),
  }
}

export async function measureCli(runs: number): Promise<CliTimes> {
  const times = { packed: [] as number[], source: [] as number[], bare: [] as number[] }
  for (let run = 0; run < runs; run += 1) {
    times.bare.push(await timeNode(['-e', '0']))
    times.packed.push(await timeNode([entryOf('packed'), 'exchange', '--help']))
    times.source.push(await timeNode([entryOf('source'), 'exchange', '--help']))
  }
  return { packed: median(times.packed), source: median(times.source), bareNode: median(times.bare) }
}

async function stopped(server: { readonly startMs: number; stop(): Promise<void> }): Promise<number> {
  await server.stop()
  return server.startMs
}

async function startBareServer() {
  const port = await freePort()
  const code = `require('http').createServer((q,r)=>r.end('ok')).listen(${port},'127.0.0.1')`
  return startChildServer({
    name: 'bare server',
    command: process.execPath,
    args: ['-e', code],
    pollMs: 2,
    ready: () => answers(`http://127.0.0.1:${port}/`),
  })
}

async function timeNode(args: readonly string[]): Promise<number> {
  const began = performance.now()
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${String(code)}`)
  return performance.now() - began
}
