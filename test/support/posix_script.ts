// The POSIX scripts of deploy/ci as an image without Node has them: dash or busybox, a PATH with the tools they name and
// nothing else, and a curl that writes its arguments down.
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { folder } from './cli.ts'
import type { CliRun } from './cli.ts'

function find(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(':')
    .map((dir) => join(dir, name))
    .find((path) => existsSync(path))
}

export const curl = find('curl')
const dash = find('dash')
const busybox = find('busybox')

export type Shell = {
  readonly name: string
  readonly command: readonly string[]
  /** Where the small tools come from. */
  readonly tool: (name: string) => string | undefined
}
export const shells: readonly (readonly [string, Shell | undefined])[] = [
  ['dash', dash === undefined ? undefined : { name: 'dash', command: [dash], tool: find }],
  [
    'busybox',
    busybox === undefined ? undefined : { name: 'busybox', command: [busybox, 'sh'], tool: () => busybox },
  ],
]

export type ScriptRun = CliRun & { readonly args: string; readonly left: readonly string[] }
export type ScriptWorld = {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  readonly cwd?: string
}

export type Script = {
  readonly file: string
  /** Programs that it may start, beside curl. */
  readonly tools: readonly string[]
}

/** Runs the script with a PATH of its own tools only, and a curl that writes its arguments down. */
export async function runPosixScript(
  t: Test,
  script: Script,
  shell: Shell,
  argv: readonly string[],
  world: ScriptWorld = {},
): Promise<ScriptRun> {
  const bin = folder(t)
  const tmp = folder(t)
  for (const name of script.tools) symlinkSync(shell.tool(name) ?? name, join(bin, name))
  const log = join(tmp, 'curl-arguments')
  writeFileSync(join(bin, 'curl'), `#!/bin/sh\nprintf '%s\\n' "$*" >>${log}\nexec ${curl} "$@"\n`, {
    mode: 0o755,
  })
  writeFileSync(log, '')
  const { promise, resolve: done } = Promise.withResolvers<CliRun>()
  const [program = '', ...first] = shell.command
  const child = execFile(
    program,
    [...first, script.file, ...argv],
    { cwd: world.cwd ?? tmp, env: { PATH: bin, TMPDIR: tmp, ...world.env } },
    (error, stdout, stderr) => done({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
  )
  // A script that stops at its flags reads no input.
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(world.stdin ?? '')
  const run = await promise
  const left = readdirSync(tmp).filter((name) => name.startsWith('sallyport'))
  return { ...run, args: readFileSync(log, 'utf8'), left }
}
