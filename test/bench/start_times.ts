// Start to ready, and the time of one CLI call, each beside the least a Node process costs here.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startChildServer } from '../support/child_server.ts'
import { answers, startContestant } from './contestants.ts'
import { median } from './measure.ts'
import type { BenchWorld } from './world.ts'

export type StartTimes = {
  /** Milliseconds from spawn to the first answer of `/keys`, keys present. */
  readonly sallyport: number
  readonly dex: number
  readonly bareServer: number
}

export type CliTimes = {
  readonly exchangeHelp: number
  /** The packed bundle, if it has been built. */
  readonly bundledExchangeHelp: number | undefined
  readonly bareNode: number
}

const root = join(import.meta.dirname, '..', '..')

export async function measureStarts(world: BenchWorld, runs: number): Promise<StartTimes> {
  // The first start makes keys and store; it is not measured.
  await stopped(await startContestant('sallyport ES256', world))
  const times = { sallyport: [] as number[], dex: [] as number[], bareServer: [] as number[] }
  for (let run = 0; run < runs; run += 1) {
    times.bareServer.push(await stopped(await startBareServer()))
    times.sallyport.push(await stopped(await startContestant('sallyport ES256', world)))
    times.dex.push(await stopped(await startContestant('dex ES256', world)))
  }
  return { sallyport: median(times.sallyport), dex: median(times.dex), bareServer: median(times.bareServer) }
}

export async function measureCli(runs: number): Promise<CliTimes> {
  const bundle = join(root, 'dist', 'sallyport.js')
  const bundled = existsSync(bundle)
  const times = { help: [] as number[], bundle: [] as number[], bare: [] as number[] }
  for (let run = 0; run < runs; run += 1) {
    times.bare.push(await timeNode(['-e', '0']))
    times.help.push(await timeNode([join(root, 'src', 'main.ts'), 'exchange', '--help']))
    if (bundled) times.bundle.push(await timeNode([bundle, 'exchange', '--help']))
  }
  return {
    exchangeHelp: median(times.help),
    bundledExchangeHelp: bundled ? median(times.bundle) : undefined,
    bareNode: median(times.bare),
  }
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
