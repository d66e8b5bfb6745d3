// Which machine and versions the figures belong to, and what its OpenSSL can do at best.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { promisify } from 'node:util'
import { wrkVersion } from './load.ts'

const run = promisify(execFile)

export type Machine = {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  readonly go: string
  readonly wrk: string
}

export async function describeMachine(): Promise<Machine> {
  const { stdout: go } = await run('go', ['version'])
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
    node: process.version,
    go: go.trim().replace('go version ', ''),
    wrk: await wrkVersion(),
  }
}

export type SignatureLimits = Readonly<
  Record<'rsa2048' | 'ecdsap256', { readonly signPerSecond: number; readonly verifyPerSecond: number }>
>

/** `openssl speed`, one core. */
export async function signatureLimits(seconds: number): Promise<SignatureLimits> {
  const { stdout } = await run('openssl', [
    'speed',
    '-mr',
    '-seconds',
    String(seconds),
    'rsa2048',
    'ecdsap256',
  ])
  const rates = (line: RegExp) => {
    const [, sign, verify] = line.exec(stdout) ?? []
    return { signPerSecond: Number(sign), verifyPerSecond: Number(verify) }
  }
  return {
    rsa2048: rates(/^\+F2:\d+:2048:([\d.]+):([\d.]+)/m),
    ecdsap256: rates(/^\+F4:\d+:256:([\d.]+):([\d.]+)/m),
  }
}
