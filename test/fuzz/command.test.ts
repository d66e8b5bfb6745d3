// The fuzz command as it is called: over planted bugs, which it has to find.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'

const PLANTED = join(import.meta.dirname, 'planted', 'targets.ts')
const COMMAND = join(import.meta.dirname, 'run.ts')

type Called = { readonly code: number; readonly stdout: string; readonly stderr: string }

function call(...args: readonly string[]): Promise<Called> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const texts = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        texts[name] += text
      })
    child.on('close', (code) => resolve({ ...texts, code: code ?? -1 }))
  })
}

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'fuzz-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

function planted(corpus: string, target: string, ...more: readonly string[]): Promise<Called> {
  return call('--targets-from', PLANTED, '--target', target, '--corpus', corpus, '--seed', '1', ...more)
}

t.test(
  'a planted disagreement is found, made small, written down and found again from the file',
  async (t) => {
    const corpus = folder(t)
    const { code, stdout } = await planted(corpus, 'planted-sum', '--seconds', '60')
    t.equal(code, 1, stdout)
    t.match(stdout, /FOUND planted-sum: Disagreement: sum/)
    const [file = ''] = readdirSync(join(corpus, 'findings', 'planted-sum'))
    const path = join(corpus, 'findings', 'planted-sum', file)
    const input = readFileSync(path, 'latin1')
    t.match(input, /^\d\+\d\+\d\+[1-9]$/, 'no digit could be left out')
    t.ok(stdout.includes(path), 'the file is named')
    t.ok(readdirSync(join(corpus, 'planted-sum')).length > 0, 'new outcomes were kept')
    const again = await planted(corpus, 'planted-sum', '--replay', path)
    t.equal(again.code, 1)
    t.match(again.stdout, /FOUND planted-sum/)
  },
)

t.test('a planted crash is found', async (t) => {
  const { code, stdout } = await planted(folder(t), 'planted-crash', '--seconds', '60')
  t.equal(code, 1)
  t.match(stdout, /FOUND planted-crash: RangeError: end of quotation not found\n {2}input "\\""/)
})

t.test('an input that never comes back is found from outside', async (t) => {
  const { code, stdout } = await planted(folder(t), 'planted-hang', '--seconds', '60', '--hang-seconds', '2')
  t.equal(code, 1, stdout)
  t.match(stdout, /FOUND planted-hang: no answer for 2 s\n {2}input ".*!!!/)
})

t.test('a door without a bug ends well after its time, and says what it did', async (t) => {
  const corpus = folder(t)
  const { code, stdout } = await planted(corpus, 'planted-nothing', '--seconds', '1')
  t.equal(code, 0)
  t.match(stdout, /^1 targets for 1 s, seed 1/)
  t.match(stdout, /planted-nothing +\d+ inputs, 2 outcomes/)
  t.equal((await planted(corpus, 'planted-nothing', '--seconds', '0')).code, 0, 'from what it kept')
})

t.test('--help shows examples and every target; a wrong call says what there is', async (t) => {
  const help = await call('--help')
  t.equal(help.code, 0)
  t.match(help.stdout, /examples\n {2}npm run fuzz -- --seconds 300/)
  t.match(help.stdout, / {2}compact-inside /)
  const wrong = [
    [['--target', 'nobody'], /no target is called "nobody"; there are json/],
    [['--seconds', 'many', '--targets-from', PLANTED], /--seconds wants a whole number/],
    [['--often'], /--often/],
    [['--replay', PLANTED, '--targets-from', PLANTED], /--replay wants one --target/],
  ] as const
  const called = await Promise.all(wrong.map(([args]) => call(...args)))
  for (const [index, { code, stderr }] of called.entries()) {
    t.equal(code, 2)
    t.match(stderr, wrong[index]?.[1])
  }
})
