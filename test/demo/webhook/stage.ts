// Where the webhook's demo is played: who types which line, what comes back, and whether it is what the scene says.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { indent } from '../assertions.ts'
import type { Assertions } from '../assertions.ts'

export type Person = {
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  /** Folder in which the lines are typed. */
  readonly cwd: string
}

type Expected = {
  /** Exit code of the line. */
  readonly code: number
  /** Each stands somewhere in what comes back. */
  readonly says: readonly string[]
}

export type Stage = {
  readonly scene: (title: string, ...told: readonly string[]) => void
  /** A part of the scene; whoever types next is named again. */
  readonly part: (told: string) => void
  readonly check: Assertions['check']
  /** What came back, stdout and stderr in order. */
  readonly type: (person: Person, line: string, expected: Expected) => Promise<string>
  /** For what becomes true a moment later: the line is typed again until it is as expected, and shown once. */
  readonly typeUntil: (person: Person, line: string, expected: Expected) => Promise<string>
}

const SHOWN_CHARACTERS = 640
const UNTIL_MS = 20_000

export function createStage(check: Assertions['check']): Stage {
  let title = ''
  let typist = ''
  function show({ name }: Person, line: string, { output }: Typed): void {
    if (name !== typist) console.log(`\n  ${name}:`)
    typist = name
    console.log(indent(`$ ${line}`))
    const answer = output.trimEnd()
    if (answer !== '') console.log(indent(answer.split('\n').map(shortened).join('\n')))
  }
  function judge(line: string, typed: Typed, { code, says }: Expected): void {
    check(typed.code === code, `${title}: \`${line}\` exits ${code} (it exits ${typed.code})`)
    for (const text of says) {
      check(typed.output.includes(text), `${title}: \`${line}\` says "${text}"`)
    }
  }
  return {
    scene: (name, ...told) => {
      title = name
      typist = ''
      console.log(`\n--- ${name}`)
      for (const line of told) console.log(indent(line))
    },
    part: (told) => {
      typist = ''
      console.log(`\n${indent(told)}`)
    },
    check: (holds, assertion) => check(holds, `${title}: ${assertion}`),
    async type(person, line, expected) {
      const typed = await shell(person, line)
      show(person, line, typed)
      judge(line, typed, expected)
      return typed.output
    },
    async typeUntil(person, line, expected) {
      const deadline = performance.now() + UNTIL_MS
      let typed = await shell(person, line)
      while (!isAs(typed, expected) && performance.now() < deadline) {
        await sleep(100)
        typed = await shell(person, line)
      }
      show(person, line, typed)
      judge(line, typed, expected)
      return typed.output
    },
  }
}

type Typed = { readonly code: number; readonly output: string }

function isAs(typed: Typed, { code, says }: Expected): boolean {
  return typed.code === code && says.every((text) => typed.output.includes(text))
}

async function shell({ env, cwd }: Person, line: string): Promise<Typed> {
  const child = spawn('sh', ['-c', `exec 2>&1\n${line}`], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  const [code] = await once(child, 'close')
  return { code: Number(code), output }
}

function shortened(line: string): string {
  return line.length <= SHOWN_CHARACTERS ? line : `${line.slice(0, SHOWN_CHARACTERS)} …`
}
